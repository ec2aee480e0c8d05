// A camera or a consumer that does just what a test asks for, and says in JSON lines on stdout what
// it saw.

#include <signal.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <string>

#include "tests/pipewire/peer_options.h"

namespace {

using sluice::testing::PeerOptions;

void AddCommon(CLI::App& app, PeerOptions& options) {
  app.add_option("--name", options.name, "node.name");
  app.add_option("--format", options.format,
                 "RGBA, BGRA, RGBx, BGRx, YUY2, or NV12; a sink takes any");
  app.add_option("--width", options.width, "pixels");
  app.add_option("--height", options.height, "pixels");
  app.add_option("--fps", options.fps, "frames per second; a sink takes any rate unless told");
  app.add_option("--frames", options.frames, "end after so many; 0: at SIGTERM");
  app.add_option("--every", options.every, "every which row has a band (both ends need the same)");
  app.add_option("--announce", options.announce,
                 "say so each time that so many frames are through");
  app.add_option("--buffers", options.buffers, "of the pool");
  app.add_flag("--sync-timeline", options.sync_timeline,
               "explicit sync where the other end has it, too; needs a DRM device with timelines");
  app.add_option("--deadline-ms", options.deadline_ms, "give up then; 0: never");
}

void AddSource(CLI::App& app, PeerOptions& options) {
  AddCommon(app, options);
  app.add_option("--memory", options.memory, "memfd, dmabuf (of the system heap), or daemon's own")
      ->default_val("memfd")
      ->check(CLI::IsMember({"memfd", "dmabuf", "daemon"}));
  app.add_flag("--lockstep", options.lockstep,
               "the next frame as soon as everybody has had the last");
  app.add_option("--count", options.count,
                 "which buffers may be written: what PipeWire hands back (none); of these, those "
                 "that no reader "
                 "has counted himself on (busy); of these, those that no reader can be about to "
                 "take (guarded)")
      ->default_val("guarded")
      ->check(CLI::IsMember({"none", "busy", "guarded"}));
  app.add_option(
      "--acquire-ms", options.acquire_ms,
      "with explicit sync: write a frame, and signal that it is there, so long after it was sent");
  app.add_option("--release-patience-ms", options.release_patience_ms,
                 "with explicit sync: how long a frame's release is waited for")
      ->default_val(2000);
  app.add_option("--unfilled-after", options.unfilled_after,
                 "once, after so many frames, send a buffer with nothing in it; 0: never");
  app.add_flag("--linger", options.linger, "after the last frame, stay until SIGTERM");
}

void AddSink(CLI::App& app, PeerOptions& options) {
  AddCommon(app, options);
  app.add_option("--memory", options.memory, "what is offered: any, shm, memfd, memptr, or dmabuf")
      ->default_val("any")
      ->check(CLI::IsMember({"any", "shm", "memfd", "memptr", "dmabuf"}));
  app.add_option("--target", options.target, "node name that a session manager is to link");
  app.add_flag("--autoconnect", options.autoconnect,
               "to whatever camera a session manager chooses");
  app.add_flag("--any-size", options.any_size, "not only that of --width and --height");
  app.add_flag("--no-band", options.no_band,
               "the pictures have none; frames that change are still seen");
  app.add_option("--stride", options.stride,
                 "bytes from row to row that buffers must have; 0: any number");
  app.add_flag("--unread", options.unread,
               "count frames and time, by the numbers beside the pictures; look at no pixel");
  app.add_option("--warm-up", options.warm_up, "so many frames come before the first that counts");
  app.add_flag("--sync", options.sync,
               "run within the camera's cycle, as streams do that ask for RT_PROCESS");
  app.add_option("--hold", options.hold, "how many frames to keep, beside the one that comes");
  app.add_option("--hold-ms", options.hold_ms, "how long to keep each");
  app.add_option("--release-lag", options.release_lag,
                 "with explicit sync: give buffers back at once, but signal the release of each "
                 "only when so many more "
                 "have come");
  app.add_flag("--never-release", options.never_release,
               "with explicit sync: never signal a release");
  app.add_option("--dump", options.dump, "file for the pixels of one frame");
  app.add_option("--dump-frame", options.dump_frame, "which one, from 0");
}

}  // namespace

int main(int argc, char** argv) {
  // Started by a test, it does not outlive it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  CLI::App app{
      "A PipeWire camera or consumer for tests; exit status 0: all went well, 1: torn or rewritten "
      "frames, 2: it could not work, 3: the deadline passed"};
  app.require_subcommand(1);
  PeerOptions source{.name = "peer-source", .format = "RGBA", .buffers = 4};
  PeerOptions sink{.name = "peer-sink", .fps = 0};
  CLI::App* source_app = app.add_subcommand("source", "a camera, a node of class Video/Source");
  AddSource(*source_app, source);
  AddSink(*app.add_subcommand("sink", "a consumer"), sink);
  CLI11_PARSE(app, argc, argv);
  return source_app->parsed() ? sluice::testing::RunSource(source) : sluice::testing::RunSink(sink);
}
