// SPDX-License-Identifier: GPL-2.0
// Makes the kernel warn when it is loaded, so that the harness can show that a warning fails a test.
#include <linux/bug.h>
#include <linux/module.h>

static int __init provoke_warning_init(void)
{
	WARN(1, "provoked by a test\n");
	return 0;
}

static void __exit provoke_warning_exit(void)
{
}

module_init(provoke_warning_init);
module_exit(provoke_warning_exit);
MODULE_DESCRIPTION("Provokes a kernel warning");
MODULE_LICENSE("GPL");
