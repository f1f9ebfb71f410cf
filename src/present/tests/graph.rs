use insta::assert_snapshot;

use super::*;
use crate::engine::Schedule;
use crate::present::graph::{Drawing, dot, mermaid, svg};

/// A chain over three phases, with an edge that the chain implies.
fn small() -> Plan {
    let mut steps = vec![
        step(Op::Create, "cloud", BUCKET, "chunks"),
        step(Op::Same, "cluster", NAMESPACE, "logs"),
        step(Op::Update, "logs", DEPLOYMENT, "logs/\"write\" <1>"),
        step(Op::Create, "logs", "k8s:v1/Service", "logs/write"),
    ];
    steps[1].dependencies = vec![steps[0].urn.clone()];
    steps[2].dependencies = vec![steps[0].urn.clone(), steps[1].urn.clone()];
    steps[3].dependencies = vec![steps[1].urn.clone()];
    plan(steps)
}

fn drawn(plan: &Plan) -> Drawing {
    let schedule = Schedule::build(plan, |step, _| Duration::from_secs(step as u64 % 3 + 1));
    Drawing::of_plan(plan, Some(&schedule))
}

#[test]
fn implied_edges_are_left_out_and_the_longest_path_is_marked() {
    let drawing = drawn(&small());
    assert_eq!(drawing.edges, [(0, 1), (1, 2), (1, 3)]);
    assert_eq!(drawing.critical, [0, 1, 2]);
    assert_eq!(drawing.duration, Some(Duration::from_secs(6)));
}

#[test]
fn graphviz() {
    assert_snapshot!(dot(&drawn(&small())), @r##"
    digraph "prod" {
      rankdir=LR;
      compound=true;
      node [shape=box, style="rounded", fontname="sans-serif", fontsize=10];
      edge [color="#8c959f", arrowsize=0.6];
      subgraph cluster_0 {
        label="cloud";
        color="#d0d7de";
        n0 [label="aws:s3/Bucket\nchunks", color="#d1242f", penwidth=2];
      }
      subgraph cluster_1 {
        label="cluster";
        color="#d0d7de";
        n1 [label="k8s:v1/Namespace\nlogs", color="#d1242f", penwidth=2];
      }
      subgraph cluster_2 {
        label="logs";
        color="#d0d7de";
        n2 [label="k8s:apps/v1/Deployment\nlogs/\"write\" <1>", color="#d1242f", penwidth=2];
        n3 [label="k8s:v1/Service\nlogs/write", color="#2da44e"];
      }
      n0 -> n1 [color="#d1242f", penwidth=2];
      n1 -> n2 [color="#d1242f", penwidth=2];
      n1 -> n3;
    }
    "##);
}

#[test]
fn in_markdown() {
    assert_snapshot!(mermaid(&drawn(&small())), @r#"
    flowchart LR
      subgraph p0["cloud"]
        n0["aws:s3/Bucket<br/>chunks"]:::critical
      end
      subgraph p1["cluster"]
        n1["k8s:v1/Namespace<br/>logs"]:::critical
      end
      subgraph p2["logs"]
        n2["k8s:apps/v1/Deployment<br/>logs/#quot;write#quot; #lt;1#gt;"]:::critical
        n3["k8s:v1/Service<br/>logs/write"]:::create
      end
      n0 ==> n1
      n1 ==> n2
      n1 --> n3
      classDef create stroke:#2da44e
      classDef critical stroke:#d1242f,stroke-width:3px
    "#);
}

/// A platform of some size: every phase needs the one before it, in part.
fn large(resources: usize) -> Plan {
    const PHASES: [&str; 8] =
        ["cloud", "cluster", "storage", "identity", "metrics", "logs", "traces", "dashboards"];
    let per_phase = resources / PHASES.len();
    let mut steps: Vec<Step> = Vec::new();
    for at in 0..resources {
        let phase = (at / per_phase).min(PHASES.len() - 1);
        let mut new = step(Op::Create, PHASES[phase], "k8s:v1/ConfigMap", &format!("{}-{at}", PHASES[phase]));
        let needed = [at.checked_sub(per_phase), at.checked_sub(1), (at > 0).then_some(at / 3)];
        new.dependencies = needed.into_iter().flatten().map(|at| steps[at].urn.clone()).collect();
        steps.push(new);
    }
    plan(steps)
}

#[test]
fn a_picture_of_hundreds_is_well_formed_and_of_bounded_size() {
    let picture = svg(&drawn(&large(250)));
    let mut open: Vec<&str> = Vec::new();
    for tag in picture.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("every tag ends");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(picture.matches("<circle").count(), 250 + 2);
    // Between phases edges are summed up.
    assert!(picture.matches("class=\"flow\"").count() < 20);
    assert!(picture.len() < 250_000, "{}", picture.len());
}

#[test]
fn boxes_of_phases_do_not_overlap() {
    let picture = svg(&drawn(&large(250)));
    let number = |line: &str, name: &str| -> f64 {
        let from = line.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
        line[from..].split('"').next().unwrap().parse().unwrap()
    };
    let boxes: Vec<[f64; 4]> = picture
        .lines()
        .filter(|line| line.contains("class=\"box\""))
        .map(|line| {
            let line = &line[line.find("<rect").unwrap()..];
            ["x", "y", "width", "height"].map(|name| number(line, name))
        })
        .collect();
    assert_eq!(boxes.len(), 8);
    for (at, a) in boxes.iter().enumerate() {
        for b in &boxes[at + 1..] {
            let apart =
                a[0] + a[2] <= b[0] || b[0] + b[2] <= a[0] || a[1] + a[3] <= b[1] || b[1] + b[3] <= a[1];
            assert!(apart, "{a:?} {b:?}");
        }
    }
}

#[test]
fn nothing_and_one_can_be_drawn() {
    for plan in [plan(Vec::new()), plan(vec![step(Op::Create, "", "plinth:Data", "a")])] {
        let drawing = Drawing::of_plan(&plan, None);
        assert!(svg(&drawing).ends_with("</svg>\n"));
        assert!(dot(&drawing).ends_with("}\n"));
        assert!(mermaid(&drawing).starts_with("flowchart"));
    }
}

#[test]
fn a_cycle_does_not_hang_a_drawing() {
    let mut steps =
        vec![step(Op::Create, "a", "plinth:Data", "a"), step(Op::Create, "b", "plinth:Data", "b")];
    steps[0].dependencies = vec![steps[1].urn.clone()];
    steps[1].dependencies = vec![steps[0].urn.clone()];
    assert!(svg(&Drawing::of_plan(&plan(steps), None)).contains("</svg>"));
}
