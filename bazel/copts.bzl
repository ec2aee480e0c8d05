"""Compiler options of our own targets; third-party code is not held to them."""

# Valid for C and C++ alike, so that a library with a .c file can use them too.
SLUICE_COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wshadow=local",
    "-Wvla",
    # C++20 designated initialisers with defaults are how this code writes options.
    "-Wno-missing-field-initializers",
]

# For .so plugins: only the entry point leaves the library (see plugin.lds).
SLUICE_PLUGIN_COPTS = SLUICE_COPTS + ["-fvisibility=hidden"]
