//! How long the operations take: `cargo bench -p smarthttpd-http --bench speed`.
//!
//! Times differ from machine to machine and from minute to minute; what a change costs is told by `instructions`.

mod operations;

use criterion::{Criterion, criterion_group, criterion_main};

fn speed(criterion: &mut Criterion) {
    for (name, prepare) in operations::OPERATIONS {
        let mut operation = prepare();
        criterion.bench_function(name, |bencher| bencher.iter(&mut operation));
    }
}

criterion_group!(benches, speed);
criterion_main!(benches);
