// Suppressions for third-party code, read by the sanitizers' runtimes at start. They are weak hooks: a build
// without sanitizers never calls them. Only code that we do not own is named here, each line with its reason.

extern "C" {

__attribute__((used, visibility("default"))) const char* __lsan_default_suppressions() {
  // Drivers and the loader keep process-wide state until exit, and are unloaded before the leak check.
  return "leak:libvulkan_lvp.so\n"
         "leak:libvulkan.so\n"
         "leak:libLLVM\n"
         "leak:libVkLayer_khronos_validation.so\n";
}

__attribute__((used, visibility("default"))) const char* __tsan_default_suppressions() {
  // Not instrumented: their locks and the code they compile at run time are invisible to the checker.
  return "called_from_lib:libvulkan_lvp.so\n"
         "called_from_lib:libVkLayer_khronos_validation.so\n"
         "race:libvulkan_lvp.so\n"
         "race:libLLVM\n"
         "deadlock:libvulkan_lvp.so\n";
}

}  // extern "C"
