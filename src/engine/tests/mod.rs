//! The engine against a simulated world: each of the design's invariants that is the engine's to keep.

mod crash;
mod makespan;
mod names;
mod orders;
mod pipeline;
mod random;
mod rounds;
mod run;
mod shapes;
mod world;
