#!/usr/bin/env python3
"""Checks that the rooms of the tree depend on each other only in the allowed direction.

Reads every #include and every Bazel dependency below engine/, nodes/ and plugins/, and compares it with the
rules below. Prints one line for each arrow that points the wrong way; exits 1 if there is one, 2 on wrong usage.

usage: check_layering.py FILE_IN_THE_ROOT_OF_THE_TREE
"""

import ast
import pathlib
import posixpath
import re
import sys

# Which rooms a room may use, besides itself. A room is a folder of two levels; the order is that of the layers.
ALLOWED_ROOMS = {
    "engine/base": set(),
    "engine/yaml": {"engine/base"},
    "engine/sync": {"engine/base"},
    "engine/media": {"engine/base", "engine/sync"},
    "engine/graph": {"engine/base", "engine/media"},
    "engine/config": {"engine/base", "engine/yaml", "engine/media", "engine/graph"},
    "engine/plugin": {
        "engine/base", "engine/yaml", "engine/sync", "engine/media", "engine/graph", "plugins/abi"},
    "engine/domain": {
        "engine/base", "engine/sync", "engine/media", "engine/graph", "plugins/abi"},
    "engine/scheduler": {
        "engine/base", "engine/sync", "engine/media", "engine/graph", "engine/config",
        "engine/plugin", "engine/domain"},
    "engine/runtime": {
        "engine/base", "engine/yaml", "engine/sync", "engine/media", "engine/graph",
        "engine/config", "engine/plugin", "engine/domain", "engine/scheduler"},
    "engine/profile": {
        "engine/base", "engine/media", "engine/graph", "engine/plugin", "plugins/abi"},
    "engine/cli": {
        "engine/base", "engine/yaml", "engine/sync", "engine/media", "engine/graph",
        "engine/config", "engine/plugin", "engine/domain", "engine/scheduler", "engine/runtime",
        "engine/profile"},
    "plugins/abi": set(),
    "plugins/sdk": {"plugins/abi"},
    "plugins/examples": {"plugins/abi", "plugins/sdk"},
}
# A node family uses the SDK and nothing else of ours, not even another family.
NODE_ROOMS = {"plugins/abi", "plugins/sdk"}
# What a test inside the engine may use in addition: a plugin of its own to load.
TEST_ROOMS = {"plugins/abi", "plugins/sdk"}

# The engine moves fds; what a device, a codec or a peer is, only nodes know. Each entry: the rooms that are
# bound, the headers, the third_party folders, why, and the rooms that are excepted.
FOREIGN_RULES = [
    (("engine/",), r"(vulkan/|volk\.h|shaderc/)", {"vulkan", "shaderc"}, "engine/ knows no Vulkan", ()),
    (("engine/",), r"(pipewire/|spa/)", {"pipewire"}, "engine/ knows no PipeWire", ()),
    (("engine/",), r"(libav\w+/|libsw\w+/)", {"ffmpeg"}, "engine/ knows no FFmpeg", ()),
    (("engine/",), r"((libdrm/)?xf86drm|gbm\.h|(lib)?(drm/)?drm_mode\.h)", set(), "engine/ knows no KMS", ()),
    (("engine/",), r"(linux/videodev2\.h|libudev\.h)", {"udev"}, "engine/ knows no device class", ()),
    (("engine/", "nodes/", "plugins/"), r"yaml-cpp/", {"yaml_cpp"},
     "yaml-cpp is engine/yaml's alone", ("engine/yaml",)),
    (("engine/", "nodes/", "plugins/"), r"boost/asio", set(),
     "Asio is engine/scheduler's alone", ("engine/scheduler",)),
    (("plugins/abi", "plugins/sdk"), r"(boost|fmt|spdlog|tl|nlohmann|CLI|vulkan|libav\w+|libsw\w+|pipewire)/",
     {"boost", "fmt", "spdlog", "expected", "nlohmann_json", "cli11", "vulkan", "ffmpeg", "pipewire", "libdrm"},
     "what a plugin author includes needs nothing installed", ()),
]

SOURCE_SUFFIXES = {".c", ".cc", ".cpp", ".h", ".hh", ".hpp", ".inc"}
TOP_FOLDERS = ("engine", "nodes", "plugins")
# Attributes that end in the target's own code. `data` does not: the executable carries the plugins it loads.
DEPENDENCY_ATTRIBUTES = {"deps", "implementation_deps", "exports", "actual"}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|include_next|import)[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def room_of(path):
    """The room of a path relative to the root, or None where no rule applies (a file of tests/, of the system)."""
    parts = path.split("/")
    if parts[0] not in TOP_FOLDERS or len(parts) < 2:
        return None
    return "/".join(parts[:2])


def allowed_rooms(room, is_test):
    rooms = NODE_ROOMS if room.startswith("nodes/") else ALLOWED_ROOMS.get(room)
    if rooms is None:
        return None
    return rooms | TEST_ROOMS if is_test else rooms


def is_test_path(path):
    return bool(re.search(r"_test\.\w+$|(^|/)(testdata|testing)/", path))


def is_test_target(call):
    keywords = {k.arg: k.value for k in call.keywords}
    rule = getattr(call.func, "id", "")
    testonly = getattr(keywords.get("testonly"), "value", False)
    return rule.endswith("_test") or testonly in (True, 1)


def without_comments(text):
    """Blanks comments out, keeping strings (an include's path is one) and the number of lines."""
    def blank(match):
        token = match.group(0)
        return token if token.startswith('"') else re.sub(r"[^\n]", " ", token)
    return COMMENT.sub(blank, text)


class Checker:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.problems = []
        self.arrows = 0

    def check(self):
        for top in TOP_FOLDERS:
            for path in sorted((self.root / top).rglob("*")):
                if not path.is_file():
                    continue
                name = path.relative_to(self.root).as_posix()
                if path.suffix in SOURCE_SUFFIXES:
                    self.check_source(name, path.read_text(errors="replace"))
                elif path.name in ("BUILD", "BUILD.bazel"):
                    self.check_build(name, path.read_text())
        return self.problems

    def check_source(self, name, text):
        text = without_comments(text)
        for match in INCLUDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            header = match.group(2)
            place = "%s:%d" % (name, line)
            target = self.resolve_include(name, header, quoted=match.group(1) == '"')
            self.arrows += 1
            if target:
                self.check_arrow(place, name, target, "includes", is_test_path(name))
            self.check_foreign(place, name, lambda rule: re.match(rule[1], header), "<%s>" % header)

    def resolve_include(self, name, header, quoted):
        """The path that an include means, relative to the root, or None for a header of the system."""
        beside = posixpath.normpath(posixpath.join(posixpath.dirname(name), header))
        if quoted and (self.root / beside).is_file():
            return beside
        if header.startswith("sluice/"):
            folder = "plugins/sdk" if header.endswith(".hpp") else "plugins/abi"
            return folder + "/" + header
        from_root = posixpath.normpath(header)
        return from_root if from_root.split("/")[0] in TOP_FOLDERS else None

    def check_build(self, name, text):
        tree = ast.parse(text, name)
        variables = {
            target.id: node.value
            for node in tree.body if isinstance(node, ast.Assign)
            for target in node.targets if isinstance(target, ast.Name)}
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            for keyword in call.keywords:
                if keyword.arg not in DEPENDENCY_ATTRIBUTES:
                    continue
                for node in self.strings(keyword.value, variables):
                    self.check_label("%s:%d" % (name, node.lineno), name, node.value, is_test_target(call))

    def strings(self, value, variables):
        for node in ast.walk(value):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node
            elif isinstance(node, ast.Name) and node.id in variables:
                yield from self.strings(variables[node.id], {})

    def check_label(self, place, name, label, is_test):
        match = re.match(r"(?:@sluice)?//([^:]*)", label)
        if not match:
            return
        package = match.group(1)
        self.arrows += 1
        self.check_arrow(place, name, package + "/", "depends on", is_test)
        third_party = package.split("/")[1] if package.startswith("third_party/") else None
        self.check_foreign(place, name, lambda rule: third_party in rule[2], label)

    def check_arrow(self, place, source, target, verb, is_test):
        source_room, target_room = room_of(source), room_of(target)
        if not source_room or not target_room or source_room == target_room:
            return
        allowed = allowed_rooms(source_room, is_test)
        if allowed is None:
            self.problems.append("%s: %s is not a room that check_layering.py knows" % (place, source_room))
        elif target_room not in allowed:
            self.problems.append("%s: %s %s %s; it may use: %s" % (
                place, source_room, verb, target_room, ", ".join(sorted(allowed)) or "nothing of ours"))

    def check_foreign(self, place, source, matches, what):
        room = room_of(source)
        for rule in FOREIGN_RULES:
            bound, _, _, why, excepted = rule
            if source.startswith(bound) and room not in excepted and matches(rule):
                self.problems.append("%s: %s uses %s; %s" % (place, room, what, why))


def main(argv):
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    # Bazel shows a test its files as links; the tree around the original is what is checked.
    root = pathlib.Path(argv[1]).resolve().parent
    checker = Checker(root)
    problems = checker.check()
    for problem in problems:
        print(problem)
    print("%d dependencies, %d of them not allowed" % (checker.arrows, len(problems)))
    if checker.arrows == 0:
        print("nothing was checked: is %s the root of the tree?" % root)
    return 1 if problems or checker.arrows == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
