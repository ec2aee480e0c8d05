#!/usr/bin/env python3
"""The oldest PipeWire that is supported, for the test that builds and runs against it.

Debian 12's own packages are fetched with apt, checked and unpacked, never installed, into a folder that appears under
its name when it is whole: $SLUICE_OLDER_PIPEWIRE_DIR, or .cache/sluice/pipewire/VERSION in the user's home.
"""

import argparse
import hashlib
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile

PACKAGES = [line.split() for line in pathlib.Path(os.path.abspath(__file__)).with_name("older.sha256").read_text().splitlines()
            if line and not line.startswith("#")]
EXIT_MISSING = 3


def folder():
    chosen = os.environ.get("SLUICE_OLDER_PIPEWIRE_DIR")
    if chosen:
        return pathlib.Path(chosen)
    # Not $HOME: a test's is a scratch folder.
    home = pwd.getpwuid(os.getuid()).pw_dir
    return pathlib.Path(home) / ".cache" / "sluice" / "pipewire" / PACKAGES[0][2]


def fetch(work):
    # Root's apt would become a user who may not write here.
    subprocess.run(["apt-get", "--quiet", "--option", "APT::Sandbox::User=root", "--option", "Acquire::Retries=3",
                    "download"] + ["%s=%s" % (name, version) for _, name, version in PACKAGES],
                   cwd=work, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for sha256, name, _ in PACKAGES:
        deb = next(work.glob(name + "_*.deb"))
        found = hashlib.sha256(deb.read_bytes()).hexdigest()
        if found != sha256:
            sys.exit("%s has SHA-256 %s, expected %s" % (deb.name, found, sha256))
        subprocess.run(["dpkg-deb", "--extract", str(deb), str(work / "root")], check=True)


def make(where):
    where.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=str(where.parent)) as name:
        work = pathlib.Path(name)
        fetch(work)
        shutil.rmtree(str(where), ignore_errors=True)
        (work / "root").rename(where)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether it is there; 3 if not")
    parser.add_argument("--folder", action="store_true", help="print where it is, or would be")
    options = parser.parse_args()
    if options.folder:
        print(folder())
    elif not folder().is_dir():
        if options.check:
            print("no PipeWire %s in %s: run ./setup" % (PACKAGES[0][2], folder()))
            sys.exit(EXIT_MISSING)
        make(folder())


if __name__ == "__main__":
    main()
