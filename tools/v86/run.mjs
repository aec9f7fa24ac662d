// SPDX-License-Identifier: MIT
// node run.mjs DIRECTORY KERNEL ARCHIVE|- MIB COMMAND-LINE (by tools/v86.sh):
// the kernel on v86, whose package DIRECTORY holds. What it writes to its first
// serial line goes to the standard output; the exit status is 0 if it wrote
// 0x10 to the port of QEMU's isa-debug-exit, 1 if something else.
import fs from "node:fs";
import path from "node:path";
import process from "node:process";

const DEBUG_EXIT = 0xf4;
const [directory, kernel, archive, mib, words] = process.argv.slice(2);
const library = path.resolve(directory, "node_modules/v86/build");
const {V86} = await import(`${library}/libv86.mjs`);

function image(file) {
    return {buffer: new Uint8Array(fs.readFileSync(file)).buffer};
}

const machine = new V86({
    wasm_path: `${library}/v86.wasm`,
    bios: image("/usr/share/seabios/bios.bin"),
    vga_bios: image("/usr/share/seabios/vgabios-stdvga.bin"),
    multiboot: image(kernel),
    ...(archive === "-" ? {} : {initrd: image(archive)}),
    cmdline: words,
    memory_size: Number(mib) * 1024 * 1024,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
    log_level: 0,
    autostart: false,
});

let line = [];
machine.add_listener("serial0-output-byte", byte => {
    line.push(byte);
    if (byte === 10) {
        process.stdout.write(Buffer.from(line));
        line = [];
    }
});

machine.add_listener("emulator-ready", () => {
    const end = value => process.stdout.write(Buffer.from(line), () =>
        process.exit(value === 0x10 ? 0 : 1));
    machine.v86.cpu.io.register_write(DEBUG_EXIT, machine, end, end, end);
    machine.run();
});
