//! Replies that are lost, refusals in bursts and delays, of the systems and of state storage alike: runs get through,
//! and nothing is there twice.

use super::graph::Graph;
use super::round::{Round, told};
use super::settings::Settings;
use super::suite::run;

#[test]
fn lost_replies_and_refusals_are_survived() {
    let settings = Settings::get();
    let graph = Graph::synthetic();
    let place = settings.place();
    let references = graph.references(&place);
    run("replies", 10, &settings, |number, figures| {
        let round = Round::new(&graph, &place, &format!("replies-{number}"));
        let rate = [0.1, 0.2, 0.3][(number % 3) as usize];
        let mut result = Ok(());
        for (phase, reference) in graph.phases.iter().zip(&references) {
            round.begin(phase);
            let seed = settings.seed * 1_000_003 + number;
            let ran = round.run(phase, &format!("{seed}:{rate},storage={rate}"));
            result = match ran.code {
                0 => round.settled(phase, reference),
                _ => Err(format!("it did not get through\n{}", told(&ran))),
            }
            .map_err(|what| format!("{} at a rate of {rate}: {what}", phase.name));
            if result.is_err() {
                break;
            }
            figures.checks += 1;
        }
        result.map_err(|what| (what, round.sandbox.keep()))
    });
}
