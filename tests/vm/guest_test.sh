#!/bin/sh
# What guest_test runs: the runner is found in the runfiles, whichever package the test is in.
exec tests/vm/guest.py --job "$1"
