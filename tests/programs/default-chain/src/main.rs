//! The smallest useful program with the whole default chain: one token, printed. Its size and crates are measured.
//!
//! With a number it makes that many more calls, whose tokens are remembered: the difference between two numbers is what they
//! cost.

#![expect(clippy::print_stdout, reason = "a program that prints a token")]

use std::{env::args, error::Error, hint::black_box};

use identity::{DefaultAzureCredential, TokenCredential};

fn main() -> Result<(), Box<dyn Error>> {
    let calls: u64 = args().nth(1).map_or(Ok(0), |number| number.parse())?;
    // What the credentials are measured against asks nobody about its authority, either.
    let credential = DefaultAzureCredential::builder().disable_instance_discovery().build()?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let credential: &dyn TokenCredential = black_box(&credential);
        let token = credential.get_token(&[SCOPE], None).await?;
        for _ in 0..calls {
            black_box(credential.get_token(&[black_box(SCOPE)], None).await?);
        }
        println!("{}", token.secret());
        Ok(())
    })
}

const SCOPE: &str = "https://storage.azure.com/.default";
