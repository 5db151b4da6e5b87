//! Drives the real application. The window's tests, the walk and the examples' tests share it.

pub(crate) mod application;
mod close_button;
pub(crate) mod demo_control;
pub(crate) mod steps;
pub(crate) mod waiting;
pub(crate) mod window;
