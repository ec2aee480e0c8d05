"""Makes a folder with all that the benchmark needs on another machine: programs, plugins, shared libraries."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile

# Part of the C library, which is never carried: programs need one at least as new as here.
LIBC = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libresolv.so.2", "libutil.so.1",
        "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libnsl.so.1"}
# Carried apart: only where the machine's own are older.
COMPILER = {"libstdc++.so.6", "libgcc_s.so.1"}
# What GPU drivers load by name and expect to find: the loader, and the libraries that share out OpenGL and X.
DRIVERS_NEED = ("libvulkan.so.1", "libGLdispatch.so.0", "libGLX.so.0", "libEGL.so.1", "libOpenGL.so.0", "libGL.so.1",
                "libX11.so.6", "libXext.so.6")
# FFmpeg loads these at its start and calls none of them for a Vulkan filter (others it asks for their abilities at its
# start: libaom, libvpx, libx265). In their place go libraries with the same
# names and symbols that do nothing: half the size of the pack.
STAND_INS = re.compile(
    r"^lib(rsvg-2|codec2|x264|SvtAv1Enc|rav1e|flite.*|lapack|blas|gfortran|jxl.*|dav1d|openmpt|sphinxbase|"
    r"pocketsphinx|bluray|openal|caca|SDL2-2\.0|zmq|rabbitmq|srt-gnutls|ssh-gcrypt|samplerate|xvidcore|jack|pulse|"
    r"dc1394|iec61883|cdio.*|mp3lame|twolame|shine|speex|theora(enc|dec)|vorbis.*|opus|gsm|gme|chromaprint|bs2b|mysofa|"
    r"rubberband|vidstab|zimg|ass|sodium|openjp2|webp.*|snappy|soxr)\.so\.")


def _run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _needed(path):
    return re.findall(r"NEEDED\s+(\S+)", _run("objdump", "-p", path))


class Libraries:
    """What programs need, with where it lies."""

    def __init__(self):
        self.places = {}
        for line in _run("/sbin/ldconfig", "-p").splitlines():
            match = re.match(r"\s*(\S+) \(.*x86-64.*\) => (\S+)", line) or re.match(r"\s*(\S+) \(.*\) => (\S+)", line)
            if match:
                self.places.setdefault(match.group(1), match.group(2))

    def locate(self, name, path):
        """Private libraries (of Debian's libblas, say) are found as ldd finds them."""
        if name in self.places:
            return self.places[name]
        match = re.search(rf"{re.escape(name)} => (/\S+)", _run("ldd", path))
        if not match:
            raise FileNotFoundError(f"{name}, which {path} needs")
        return match.group(1)

    def of(self, programs, stand_ins=None):
        """{name: path} of all that `programs` load, without the C library. Of what matches `stand_ins` not the needs."""
        found, todo = {}, list(programs)
        while todo:
            path = todo.pop()
            for name in _needed(path):
                if name in LIBC or name in found:
                    continue
                found[name] = self.locate(name, path)
                if not (stand_ins and stand_ins.match(name)):
                    todo.append(found[name])
        return found


def _stand_in(library, name, folder):
    """A library with the name, symbols and versions of `library`. Its functions end the program."""
    versions, source = {}, [".text"]
    seen = set()
    for line in _run("nm", "-D", "-S", "--defined-only", "--with-symbol-versions", library).splitlines():
        fields = line.split()
        kind, symbol = fields[-2], fields[-1]
        if kind == "A" or ("@" in symbol and "@@" not in symbol):
            continue
        symbol, _, version = symbol.partition("@@")
        if symbol in seen:
            continue
        seen.add(symbol)
        versions.setdefault(version, []).append(symbol)
        quoted = f'"{symbol}"'
        if kind in "TtWwi":
            source += [f".globl {quoted}", f".type {quoted}, @function", f"{quoted}: .byte 0x0f, 0x0b"]
        else:
            size = int(fields[1], 16) if len(fields) == 4 else 8
            source += [".data", ".balign 32", f".globl {quoted}", f".type {quoted}, @object", f".size {quoted}, {size}",
                       f"{quoted}: .zero {max(size, 1)}", ".text"]
    with tempfile.TemporaryDirectory() as work:
        assembly, script = os.path.join(work, "stand_in.s"), os.path.join(work, "versions")
        with open(assembly, "w", encoding="utf-8") as file:
            file.write("\n".join(source) + "\n.section .note.GNU-stack,\"\",@progbits\n")
        command = ["gcc", "-shared", "-nostdlib", f"-Wl,-soname,{name}", "-o", os.path.join(folder, name), assembly]
        named = {version: symbols for version, symbols in versions.items() if version}
        if named:
            with open(script, "w", encoding="utf-8") as file:
                for version, symbols in named.items():
                    file.write(f"{version} {{ global: {' '.join(f'{chr(34)}{s}{chr(34)};' for s in symbols)} }};\n")
            command.append(f"-Wl,--version-script={script}")
        subprocess.run(command, check=True)


def _carry(libraries, folder, base, stand_ins=None):
    for name, path in sorted(libraries.items()):
        if stand_ins and stand_ins.match(name):
            _stand_in(path, name, folder)
        else:
            shutil.copy(os.path.realpath(path), os.path.join(base if name in COMPILER else folder, name))


def _archive(folder, path):
    with tarfile.open(path, "w:xz", preset=6) as archive:
        archive.add(folder, arcname=os.path.basename(folder))


def _make_root(work, name):
    root = os.path.join(work, name)
    for part in ("bin", "lib", "base"):
        os.makedirs(os.path.join(root, part))
    return root


def _carry_needs(libraries, programs, root, stand_ins=None):
    needed = libraries.of(programs, stand_ins)
    for name in DRIVERS_NEED:
        if name in libraries.places:
            needed |= libraries.of([libraries.places[name]]) | {name: libraries.places[name]}
    _carry(needed, os.path.join(root, "lib"), os.path.join(root, "base"), stand_ins)


def _pack_ffmpeg(libraries, program, path):
    with tempfile.TemporaryDirectory() as work:
        root = _make_root(work, "ffmpeg")
        shutil.copy(program, os.path.join(root, "bin", "ffmpeg"))
        _carry_needs(libraries, [program], root, STAND_INS)
        _archive(root, path)


def _pack_programs(libraries, programs, plugins, path):
    with tempfile.TemporaryDirectory() as work:
        root = _make_root(work, "sluice")
        for name, program in programs.items():
            _run("strip", "-o", os.path.join(root, "bin", name), program)
        folder = os.path.join(root, "lib", "sluice", "plugins")
        os.makedirs(folder)
        for plugin in plugins:
            # Not stripped with all: the manifest is in a section of its own.
            _run("strip", "--strip-debug", "-o", os.path.join(folder, os.path.basename(plugin)), plugin)
        _carry_needs(libraries, list(programs.values()) + list(plugins), root)
        _archive(root, path)


def pack(folder, programs, plugins, scripts):
    """Fills `folder`; an archive of FFmpeg that is there stays. `programs`: {name: path}. Returns its bytes."""
    libraries = Libraries()
    os.makedirs(folder, exist_ok=True)
    _pack_programs(libraries, programs, plugins, os.path.join(folder, "sluice.tar.xz"))
    ffmpeg = os.path.join(folder, "ffmpeg.tar.xz")
    if shutil.which("ffmpeg") and not os.path.exists(ffmpeg):
        _pack_ffmpeg(libraries, shutil.which("ffmpeg"), ffmpeg)
    for path in scripts:
        shutil.copy(path, folder)
    return sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))


def unpack(folder, name, work):
    """The folder with `bin`, `lib` and `base` of an archive in a pack; None where there is none."""
    path = os.path.join(folder, name + ".tar.xz")
    if not os.path.exists(path):
        return None
    with tarfile.open(path) as archive:
        archive.extractall(work)
    return os.path.join(work, name)
