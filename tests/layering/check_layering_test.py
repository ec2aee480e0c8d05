#!/usr/bin/env python3
"""Shows that check_layering.py finds a wrong arrow wherever one can be written, and lets right ones pass."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.dont_write_bytecode = True
import check_layering  # pylint: disable=wrong-import-position


def problems(files):
    """What the checker says of a tree of {path: text}."""
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return check_layering.Checker(root).check()


class LayeringTest(unittest.TestCase):
    def assert_refused(self, path, text, *words):
        found = problems({path: text})
        self.assertEqual(len(found), 1, found)
        for word in (path + ":",) + words:
            self.assertIn(word, found[0])

    def assert_accepted(self, path, text):
        self.assertEqual(problems({path: text}), [])

    def test_a_lower_layer_may_not_include_a_higher_one(self):
        self.assert_refused("engine/base/a.h", '#include "engine/media/frame.h"\n', "engine/media")
        self.assert_refused("engine/graph/a.cc", '#include "engine/scheduler/worker.h"\n')

    def test_a_higher_layer_may_include_a_lower_one(self):
        self.assert_accepted("engine/runtime/a.cc", '#include "engine/base/result.h"\n')

    def test_siblings_may_not_include_each_other(self):
        self.assert_refused("engine/plugin/a.cc", '#include "engine/config/parse.h"\n')
        self.assert_refused("engine/media/a.cc", '#include "engine/yaml/value.h"\n')

    def test_the_place_is_named(self):
        found = problems({"engine/base/a.h": '// one\n\n#  include "engine/sync/fence.h"\n'})
        self.assertTrue(found[0].startswith("engine/base/a.h:3: engine/base includes engine/sync"), found)

    def test_nodes_and_engine_may_not_include_each_other(self):
        self.assert_refused("nodes/core/a.cc", '#include "engine/base/result.h"\n', "nodes/core")
        self.assert_refused("engine/cli/a.cc", '#include "nodes/core/null.h"\n')

    def test_a_node_family_may_not_include_another(self):
        self.assert_refused("nodes/core/a.cc", '#include "nodes/vulkan/device.h"\n')

    def test_a_relative_path_does_not_hide_an_arrow(self):
        found = problems({"nodes/core/a.cc": '#include "../../engine/base/b.h"\n', "engine/base/b.h": ""})
        self.assertEqual(len(found), 1, found)

    def test_only_plugin_and_domain_may_include_the_abi(self):
        self.assert_accepted("engine/plugin/a.cc", "#include <sluice/abi.h>\n")
        self.assert_accepted("engine/domain/a.cc", "#include <sluice/domain.h>\n")
        self.assert_refused("engine/media/a.cc", "#include <sluice/abi.h>\n", "plugins/abi")

    def test_the_abi_may_not_include_the_sdk(self):
        self.assert_refused("plugins/abi/sluice/a.h", "#include <sluice/node.hpp>\n", "plugins/sdk")

    def test_an_engine_test_may_build_a_plugin_but_not_use_a_node(self):
        self.assert_accepted("engine/runtime/a_test.cc", "#include <sluice/node.hpp>\n")
        self.assert_refused("engine/runtime/a_test.cc", '#include "nodes/core/null.h"\n')

    def test_the_engine_knows_no_device_library(self):
        for header in ("vulkan/vulkan.h", "volk.h", "pipewire/pipewire.h", "spa/utils/defs.h",
                       "libavcodec/avcodec.h", "libswscale/swscale.h", "xf86drmMode.h", "linux/videodev2.h"):
            self.assert_refused("engine/cli/doctor.cc", "#include <%s>\n" % header, header)
            self.assert_accepted("nodes/core/a.cc", "#include <%s>\n" % header)

    def test_the_engine_knows_fourcc_and_dma_buf(self):
        self.assert_accepted("engine/media/a.cc", "#include <drm_fourcc.h>\n#include <linux/dma-buf.h>\n")

    def test_yaml_cpp_and_asio_have_one_user_each(self):
        self.assert_accepted("engine/yaml/a.cc", "#include <yaml-cpp/yaml.h>\n")
        self.assert_refused("engine/config/a.cc", "#include <yaml-cpp/yaml.h>\n")
        self.assert_accepted("engine/scheduler/a.cc", "#include <boost/asio.hpp>\n")
        self.assert_refused("engine/runtime/a.cc", "#include <boost/asio/io_context.hpp>\n")

    def test_what_plugin_authors_include_needs_nothing_installed(self):
        self.assert_refused("plugins/sdk/sluice/a.hpp", "#include <fmt/format.h>\n")

    def test_a_commented_include_is_none(self):
        self.assert_accepted("engine/base/a.cc", '// #include "engine/cli/main.h"\n/*\n#include "nodes/x/y.h"\n*/\n')

    def test_a_comment_start_in_a_string_hides_nothing(self):
        self.assert_refused("engine/base/a.cc", 'auto s = "/*";\n#include "engine/cli/main.h"\n')

    def test_a_bazel_dependency_is_an_arrow_too(self):
        self.assert_refused("engine/base/BUILD.bazel", 'cc_library(name = "a", deps = ["//engine/media"])\n')
        self.assert_refused("nodes/core/BUILD.bazel", 'D = ["//engine/base:base"]\nx(name = "a", deps = D)\n')
        self.assert_refused(
            "engine/config/BUILD.bazel", 'cc_library(name = "a", deps = [":b"] + ["//third_party/yaml_cpp"])\n')
        self.assert_refused("engine/cli/BUILD.bazel", 'cc_binary(name = "a", deps = ["//third_party/vulkan:volk"])\n')
        self.assert_accepted("engine/media/BUILD.bazel", 'cc_library(name = "a", deps = ["//engine/base"])\n')

    def test_the_executable_may_carry_plugins_as_data(self):
        self.assert_accepted("engine/cli/BUILD.bazel", 'cc_binary(name = "a", data = ["//nodes/core"])\n')

    def test_an_unknown_room_is_refused(self):
        self.assert_refused("engine/misc/a.cc", '#include "engine/base/result.h"\n', "engine/misc")

    def test_an_empty_tree_is_no_success(self):
        with tempfile.TemporaryDirectory() as root:
            self.assertEqual(check_layering.main(["check_layering.py", root + "/WORKSPACE"]), 1)


if __name__ == "__main__":
    unittest.main()
