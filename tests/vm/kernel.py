#!/usr/bin/env python3
"""The kernel that test guests boot: where it is, and how it is made.

Debian's packages of one pinned version are fetched with apt, checked and unpacked, never installed. What no Debian
kernel has (vkms, sw_sync) is built from their source. Only what a guest uses is kept, in a folder that appears under
its name when it is whole: $SLUICE_KERNEL_DIR, or .cache/sluice/kernel/VERSION in the user's home.
"""

import argparse
import collections
import hashlib
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile

RECIPES = pathlib.Path(os.path.abspath(__file__)).parents[2] / "third_party" / "linux"
# Raised when prepare() makes something else from the same recipes.
REVISION = "1"
OUT_OF_TREE = {
    # Folder in third_party/linux -> what it takes from the kernel's source, and under which name.
    "vkms": {"drivers/gpu/drm/vkms/%s" % name: name for name in (
        "vkms_composer.c", "vkms_crtc.c", "vkms_drv.c", "vkms_drv.h", "vkms_formats.c", "vkms_formats.h",
        "vkms_output.c", "vkms_plane.c", "vkms_writeback.c")},
    "sw_sync": {
        "drivers/dma-buf/sw_sync.c": "timeline.c",
        "drivers/dma-buf/sync_debug.c": "sync_debug.c",
        "drivers/dma-buf/sync_debug.h": "sync_debug.h",
        "drivers/dma-buf/sync_trace.h": "sync_trace.h",
    },
    "provoke_warning": {},
}

EXIT_MISSING = 3
EXIT_UNKNOWN_TO_APT = 4

Package = collections.namedtuple("Package", "sha256 name version")


class Failed(Exception):
    """Why there is no kernel."""


def data_lines(path):
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def packages():
    return [Package(*line.split()) for line in data_lines(RECIPES / "packages.sha256")]


def package(prefix, suffix=""):
    return next(p for p in packages() if p.name.startswith(prefix) and p.name.endswith(suffix))


def release():
    """The kernel's own name for itself, as `uname -r` prints it."""
    return package("linux-image-").name[len("linux-image-"):]


def folder():
    chosen = os.environ.get("SLUICE_KERNEL_DIR")
    if chosen:
        return pathlib.Path(chosen)
    # Not $HOME: a test's is a scratch folder.
    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # A container's user without a name.
        home = os.environ.get("HOME", "/var/tmp")
    return pathlib.Path(home) / ".cache" / "sluice" / "kernel" / package("linux-image-").version


def identity():
    """Of all that the folder is made from: another recipe makes another kernel."""
    digest = hashlib.sha256(REVISION.encode())
    for path in sorted(RECIPES.rglob("*")):
        if path.is_file() and path.name != "BUILD.bazel":
            digest.update(str(path.relative_to(RECIPES)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def missing():
    """Why the kernel cannot be used; None if it can."""
    where = folder()
    try:
        found = (where / "identity").read_text()
    except OSError:
        return "no kernel in %s: run ./setup" % where
    if found != identity():
        return "the kernel in %s is not of this version of the sources: run ./setup" % where
    return None


def module_dir(where):
    return where / "lib" / "modules" / release()


# --- Making it -------------------------------------------------------------------------------------------------


def run(*command, **options):
    """Runs quietly; what it printed is part of the error."""
    command = [str(word) for word in command]
    # depmod is not on the path of Debian's users.
    options["env"] = dict(os.environ, PATH=os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, errors="replace", **options)
    if done.returncode != 0:
        raise Failed("%s: exit status %d\n%s" % (" ".join(command), done.returncode, done.stdout[-3000:]))
    return done.stdout


def known_to_apt():
    for wanted in packages():
        offered = subprocess.run(["apt-cache", "madison", wanted.name], stdout=subprocess.PIPE,
                                 universal_newlines=True, check=False).stdout
        if not any(line.split("|")[1].strip() == wanted.version for line in offered.splitlines()):
            return False
    return True


def fetch(work):
    """Downloads every package; returns the files by package name."""
    # Root's apt would become a user who may not write here.
    run("apt-get", "--quiet", "--option", "APT::Sandbox::User=root", "--option", "Acquire::Retries=3", "download",
        *["%s=%s" % (p.name, p.version) for p in packages()], cwd=work)
    files = {}
    for wanted in packages():
        found = list(work.glob(wanted.name + "_*.deb"))
        if len(found) != 1:
            raise Failed("apt-get download left %d files for %s" % (len(found), wanted.name))
        digest = hashlib.sha256()
        with found[0].open("rb") as deb:
            for block in iter(lambda: deb.read(1 << 20), b""):
                digest.update(block)
        if digest.hexdigest() != wanted.sha256:
            raise Failed("%s has SHA-256 %s, expected %s" % (found[0].name, digest.hexdigest(), wanted.sha256))
        files[wanted.name] = found[0]
    return files


def unpack_source(deb, paths, work):
    """Takes files out of the source package, which holds one archive of the whole kernel."""
    name = package("linux-source-").name
    pipe = ('set -o pipefail; dpkg-deb --fsys-tarfile "$1" | tar xO "./usr/src/$2.tar.xz" | '
            'tar xJ -C "$3" "${@:4}"')
    run("bash", "-c", pipe, "unpack", deb, name, work, *["%s/%s" % (name, path) for path in paths])
    return work / name


def build_modules(source, headers, work):
    """Builds what Debian's kernel lacks; returns the .ko files."""
    makefile = headers / "usr" / "src" / ("linux-headers-" + release())
    # They expect to be installed: absolute paths, and a vmlinux that would ask for pahole.
    (makefile / "vmlinux").unlink()
    top = makefile / "Makefile"
    top.write_text(top.read_text().replace("/usr/src/", "%s/usr/src/" % headers))
    trees = []
    for name, files in OUT_OF_TREE.items():
        tree = work / "out-of-tree" / name
        shutil.copytree(RECIPES / name, tree)
        for path, new_name in files.items():
            shutil.copy(source / path, tree / new_name)
        trees.append(tree)
    for patch in sorted(RECIPES.glob("*.patch")):
        run("patch", "--strip=1", "--input=%s" % patch, cwd=work / "out-of-tree")
    for tree in trees:
        run("make", "-C", makefile, "M=%s" % tree, "-j%d" % (os.cpu_count() or 1), "modules")
    return [tree / (tree.name + ".ko") for tree in trees]


def with_dependencies(names, modules):
    """Paths of the named modules and of all that they need, by the folder's modules.dep."""
    needs = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {pathlib.Path(path).name.split(".")[0].replace("-", "_"): path for path in needs}
    paths = []
    for name in names:
        path = by_name.get(name.replace("-", "_"))
        if not path:
            raise Failed("the kernel has no module %s" % name)
        # Listed before what needs them.
        paths += [p for p in reversed(needs[path]) if p not in paths]
        paths += [path] if path not in paths else []
    return paths


def keep_modules(image, built, made):
    """Copies the few modules that a guest loads, decompressed, for each boot would do that again."""
    source, target = module_dir(image), module_dir(made)
    run("depmod", "-b", image, release())
    for path in with_dependencies(data_lines(RECIPES / "modules.txt"), source):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / path, target / path)
        if path.endswith(".xz"):
            run("xz", "--decompress", target / path)
    (target / "extra").mkdir()
    for path in built:
        run("strip", "--strip-debug", path)
        shutil.copy(path, target / "extra")
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copy(source / name, target)
    run("depmod", "-b", made, release())


def prepare():
    where = folder()
    where.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=where.parent) as scratch:
        work = pathlib.Path(scratch)
        debs = fetch(work)
        image, headers, made = work / "image", work / "headers", work / "made"
        for target, prefix in ((image, "linux-image-"), (headers, "linux-headers-"), (headers, "linux-kbuild-")):
            for name, deb in debs.items():
                if name.startswith(prefix):
                    run("dpkg-deb", "--extract", deb, target)
        source = unpack_source(debs[package("linux-source-").name],
                               [path for files in OUT_OF_TREE.values() for path in files], work)
        built = build_modules(source, headers, work)
        made.mkdir()
        keep_modules(image, built, made)
        shutil.copy(image / "boot" / ("vmlinuz-" + release()), made / "vmlinuz")
        shutil.copy(image / "boot" / ("config-" + release()), made / "config")
        (made / "identity").write_text(identity())
        if where.exists():
            where.rename(work / "old")
        made.rename(where)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="Exit status: 0 it is there, 1 making it failed, %d (--check) it is "
                                     "missing, %d apt does not know the packages." %
                                     (EXIT_MISSING, EXIT_UNKNOWN_TO_APT))
    parser.add_argument("--where", action="store_true", help="make nothing; print the folder")
    parser.add_argument("--check", action="store_true", help="make nothing; say what is missing")
    arguments = parser.parse_args()
    if arguments.where:
        print(folder())
        return 0
    reason = missing()
    if not reason:
        return 0
    if arguments.check:
        print(reason)
        return EXIT_MISSING
    try:
        if not known_to_apt():
            print("apt does not offer %s %s" % (package("linux-image-").name, package("linux-image-").version))
            return EXIT_UNKNOWN_TO_APT
        prepare()
    except (Failed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
