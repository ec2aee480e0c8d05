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
] + select({
    # g++ 12 sees overlaps and overflows in its own std::string and std::vector (GCC bugs 105651, 105329).
    "//bazel:opt": [
        "-Wno-restrict",
        "-Wno-stringop-overflow",
    ],
    "//conditions:default": [],
})

# For .so plugins: only the entry point leaves the library (see plugin.lds).
SLUICE_PLUGIN_COPTS = SLUICE_COPTS + ["-fvisibility=hidden"]
