//! Drives the real application. The window's tests, the walk and the examples' tests share it.

pub(crate) mod application;
pub(crate) mod browser;
pub(crate) mod demo_control;
mod display;
pub(crate) mod steps;
pub(crate) mod waiting;
pub(crate) mod window;
