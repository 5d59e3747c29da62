//! Which subnets and addresses are free: pure, without the kernel.
