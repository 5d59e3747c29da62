//! The resolver that containers find at 127.0.0.11.
