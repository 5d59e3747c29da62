//! Images: in, out, and exactly as they were.

mod hostile;
mod layers;
mod list;
mod load;
mod platforms;
mod save;
