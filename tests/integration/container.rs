//! Containers: their commands, one file each.

mod attach;
mod commit;
mod cp;
mod events;
mod exec;
mod health;
mod inspect;
mod logs;
mod pause;
mod ps;
mod restart;
mod run;
mod stats;
mod stop;
mod tty;
mod update;
