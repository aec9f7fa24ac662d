#!/bin/sh
# SPDX-License-Identifier: MIT
# Do the examples of the documents compile, run, and print what they say?
exec "$(dirname "$0")/../tools/doc-examples.sh"
