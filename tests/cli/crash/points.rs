//! Killed before and after every write to the log and every call of a provider, by the process itself; several times in
//! a row; and from outside at random moments. After each, one plain run converges.

use std::path::PathBuf;
use std::time::Duration;

use super::graph::{Graph, Reference};
use super::round::Round;
use super::settings::{Random, Settings};
use super::suite::{Figures, run};
use crate::place::Place;

type Outcome = Result<(), (String, PathBuf)>;

/// What is done to one phase of a round before it is run plainly.
type Harm<'a> = dyn Fn(&Round<'_>, usize, &mut Random) + Sync + 'a;

fn life(
    graph: &Graph,
    references: &[Reference],
    (settings, place): (&Settings, &Place),
    (suite, number): (&str, u64),
    figures: &mut Figures,
    harm: &Harm<'_>,
) -> Outcome {
    let round = Round::new(graph, place, &format!("{suite}-{number}"));
    let mut random = Random::new(settings.seed, number);
    let mut result = Ok(());
    for (at, (phase, reference)) in graph.phases.iter().zip(references).enumerate() {
        round.begin(phase);
        harm(&round, at, &mut random);
        result = round.converge(phase, reference).map_err(|what| {
            let audit = round.audit(phase);
            let deaths: Vec<&str> = audit.deaths().collect();
            format!("{}, killed {deaths:?}: {what}", phase.name)
        });
        let audit = round.audit(phase);
        figures.points.extend(audit.deaths().map(|point| format!("{} {} {point}", graph.name, phase.name)));
        if result.is_err() {
            break;
        }
        figures.checks += 1;
    }
    figures.kills += round.kills.get();
    result.map_err(|what| (what, round.sandbox.keep()))
}

/// Each round kills each phase once; enough rounds reach every point once.
fn once(graph: &Graph, suite: &str, few: u64) {
    let settings = Settings::get();
    let place = settings.place();
    let references = graph.references(&place);
    let most = references.iter().map(|reference| reference.points).max().unwrap_or(1);
    let rounds = settings.rounds.unwrap_or(few);
    println!(
        "{suite}: {} points",
        references.iter().map(|reference| reference.points.to_string()).collect::<Vec<_>>().join(" + ")
    );
    run(suite, few, &settings, |number, figures| {
        let harm = |round: &Round<'_>, at: usize, random: &mut Random| {
            let points = references[at].points;
            // Every point in turn when there are as many rounds; else spread over all of them.
            let point = match rounds >= most {
                true => number % points,
                false => {
                    ((number - settings.from) * points / rounds + random.below(points / rounds)) % points
                }
            };
            // By name: their order differs from run to run, what happens does not.
            let name = &references[at].audit.points[point as usize].name;
            let faults = format!("{}:0,crash={name}", settings.seed);
            round.run(&graph.phases[at], &faults);
        };
        life(graph, &references, (&settings, &place), (suite, number), figures, &harm)
    });
}

/// Each phase is killed several times in a row: while it recovers from a kill, too.
fn in_a_row(graph: &Graph, suite: &str, few: u64) {
    let settings = Settings::get();
    let place = settings.place();
    let references = graph.references(&place);
    run(suite, few, &settings, |number, figures| {
        let harm = |round: &Round<'_>, at: usize, random: &mut Random| {
            let points = references[at].points;
            let mut within = points;
            for _ in 0..random.between(2, 4) {
                let faults = format!("{}:0,crash={}", settings.seed, random.between(1, within));
                round.run(&graph.phases[at], &faults);
                // The next one dies early: while it finds out what became of the last.
                within = if random.below(3) == 0 { points } else { points.min(14) };
            }
        };
        life(graph, &references, (&settings, &place), (suite, number), figures, &harm)
    });
}

fn from_outside(graph: &Graph, suite: &str, few: u64) {
    let settings = Settings::get();
    let place = settings.place();
    let references = graph.references(&place);
    run(suite, few, &settings, |number, figures| {
        let harm = |round: &Round<'_>, at: usize, random: &mut Random| {
            let longest = references[at].duration.as_millis() as u64;
            for _ in 0..random.between(1, 2) {
                round.run_for(&graph.phases[at], Duration::from_millis(random.below(longest)));
            }
        };
        life(graph, &references, (&settings, &place), (suite, number), figures, &harm)
    });
}

#[test]
fn killed_at_a_point_the_next_run_converges() {
    once(&Graph::synthetic(), "points", 14);
}

#[test]
fn killed_several_times_in_a_row_the_next_run_converges() {
    in_a_row(&Graph::synthetic(), "row", 4);
}

#[test]
fn killed_from_outside_the_next_run_converges() {
    from_outside(&Graph::synthetic(), "outside", 4);
}

#[test]
#[ignore = "the whole platform, many times: `cargo xtask crash platform`"]
fn killed_at_a_point_of_the_platform_the_next_run_converges() {
    once(&Graph::platform(), "platform", 4);
}
