// Suppressions for third-party code, read by the sanitizers' runtimes at start. They are weak hooks: a build
// without sanitizers never calls them. Only code that we do not own is named here, each line with its reason.

extern "C" {

__attribute__((used, visibility("default"))) const char* __lsan_default_suppressions() {
  // Drivers and their compiler keep process-wide state until exit. PipeWire 1.4.2's client of an exported node now and
  // then loses two records of a port's link (152 bytes each) when the node goes while its ports are being set up.
  return "leak:libpipewire-module-client-node.so\n"
         "leak:libvulkan_lvp.so\n"
         "leak:libvulkan.so\n"
         "leak:libLLVM\n"
         "leak:libVkLayer_khronos_validation.so\n";
}

__attribute__((used, visibility("default"))) const char* __tsan_default_suppressions() {
  // Not instrumented: their locks are futexes that the checker does not see, nor the code they compile at run time.
  return "race:libvulkan_lvp.so\n"
         "race:libLLVM\n"
         "race:libVkLayer_khronos_validation.so\n"
         // Their reference counts are atomics that the checker does not see.
         "race:libavutil.so\n"
         "race:libavcodec.so\n"
         "race:libavformat.so\n"
         "race:libswscale.so\n"
         "race:libx264.so\n"
         "race:libx265.so\n"
         "race:libvpx.so\n"
         "deadlock:libvulkan_lvp.so\n"
         "deadlock:libVkLayer_khronos_validation.so\n"  // its own locks, in its own calls
         "mutex:libvulkan_lvp.so\n";
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// Libraries stay loaded: a report made at exit names modules and lines, and the suppressions above match, only for
// code that is still there. (Vulkan's loader unloads a driver with its last instance.)
__attribute__((used, visibility("default"))) int dlclose(void*) { return 0; }
#endif

}  // extern "C"
