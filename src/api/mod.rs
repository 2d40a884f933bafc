//! The HTTP surface: what people, the portal and Prometheus may ask. Never decides about an app and never
//! acts on AWS beyond the two tables; see `handle` for all it knows of the controller.

pub mod handle;
