//! The least a cached `get_token` can cost with std alone: one lock, one look-up, one clock, one count.
//!
//! `floor-cached N` makes N calls through a trait object.

use std::env;
use std::hint::black_box;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

trait Source {
    fn token(&self, scope: &str) -> Option<Arc<str>>;
}

struct Entry {
    scope: String,
    expires: Instant,
    token: Arc<str>,
}

struct Cache(RwLock<Vec<Entry>>);

impl Source for Cache {
    fn token(&self, scope: &str) -> Option<Arc<str>> {
        let entries = self.0.read().ok()?;
        let entry = entries.iter().find(|entry| entry.scope == scope)?;
        (entry.expires > Instant::now()).then(|| Arc::clone(&entry.token))
    }
}

fn main() {
    let calls: u64 = env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1);
    let expires = Instant::now() + Duration::from_secs(3600);
    let entry = Entry { scope: "https://storage.azure.com/.default".into(), expires, token: "token".into() };
    let source: Box<dyn Source> = Box::new(Cache(RwLock::new(vec![entry])));
    let source = black_box(source);
    let mut served = 0_u64;
    for _ in 0..calls {
        served += u64::from(black_box(source.token(black_box("https://storage.azure.com/.default"))).is_some());
    }
    println!("{served}");
}
