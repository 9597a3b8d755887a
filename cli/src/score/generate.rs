//! `marathon score generate`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde_json::json;

use crate::score::{Scored, Verdict};

/// Rows of an era.
const ERA_ROWS: u32 = 100;
/// Width of the noise in a near duplicate.
const NEAR: f64 = 0.01;

/// Generate a challenge with honest, near-duplicate and duplicate submissions
///
/// The same seed gives the same files on every machine.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  the challenge was generated
  1  a file could not be written
  2  wrong usage")]
pub(crate) struct Arguments {
    /// Folder for training.csv, tournament.csv, truth.csv, manifest.csv and submissions/; created if it does not exist
    folder: PathBuf,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rows of training data
    #[arg(long, default_value_t = 4000)]
    training: u32,
    /// Rows of validation data
    #[arg(long, default_value_t = 4000)]
    validation: u32,
    /// Rows of test data
    #[arg(long, default_value_t = 4000)]
    test: u32,
    /// Rows of live data
    #[arg(long, default_value_t = 4000)]
    live: u32,
    /// Number of features
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    features: u32,
    /// Number of submissions with their own model
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    honest: u32,
    /// Number of submissions that add a little noise to an honest one
    #[arg(long, default_value_t = 2)]
    near_duplicates: u32,
    /// Number of submissions that copy an honest one
    #[arg(long, default_value_t = 1)]
    duplicates: u32,
    /// Print JSON instead of a sentence
    #[arg(long)]
    json: bool,
}

/// Uniform in 0..1, of 53 random bits.
#[allow(clippy::cast_precision_loss, reason = "53 bits are a double's precision")]
fn uniform(random: &mut Pcg64Mcg) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A row's features. Rows belong to five groups, so that there are regions to find.
fn features(random: &mut Pcg64Mcg, count: u32) -> Vec<f64> {
    let group = random.next_u32() % 5;
    let center = |feature: u32| f64::from((feature + 2 * group) % 5) / 5.0;
    (0..count).map(|feature| 0.7 * center(feature) + 0.3 * uniform(random)).collect()
}

/// The prediction of a linear model. It uses no function that differs between machines.
fn probability(features: &[f64], weights: &[f64]) -> f64 {
    let sum: f64 = features.iter().zip(weights).map(|(feature, weight)| (feature - 0.5) * weight).sum();
    0.5 + 0.5 * sum / (1.0 + sum.abs())
}

fn weights(random: &mut Pcg64Mcg, count: u32) -> Vec<f64> {
    (0..count).map(|_| 2.0 * uniform(random) - 1.0).collect()
}

pub(crate) fn run(arguments: &Arguments) -> Result<Scored> {
    let generated = Generator { arguments, random: Pcg64Mcg::seed_from_u64(arguments.seed) }.generate();
    let submissions = generated.with_context(|| format!("writing to {}", arguments.folder.display()))?;
    let text = if arguments.json {
        format!("{:#}", json!({"folder": arguments.folder, "submissions": submissions}))
    } else {
        format!(
            "{} submissions and the data of their challenge are in {}",
            submissions.len(),
            arguments.folder.display()
        )
    };
    Ok(Scored { verdict: Verdict::Accepted, text })
}

struct Generator<'a> {
    arguments: &'a Arguments,
    random: Pcg64Mcg,
}

impl Generator<'_> {
    fn generate(mut self) -> Result<Vec<String>> {
        let Arguments { folder, features: count, .. } = self.arguments;
        std::fs::create_dir_all(folder.join("submissions"))?;
        let truth = weights(&mut self.random, *count);
        let training = create(&folder.join("training.csv"))?;
        self.data(training, None, &truth, &[("train", self.arguments.training)])?;
        let parts =
            [("validation", self.arguments.validation), ("test", self.arguments.test), ("live", self.arguments.live)];
        let tournament = create(&folder.join("tournament.csv"))?;
        let rows = self.data(tournament, Some(create(&folder.join("truth.csv"))?), &truth, &parts)?;
        self.submissions(&rows)
    }

    /// Writes rows of data and their hidden targets. Returns the rows' ids and features.
    fn data(
        &mut self,
        mut file: impl Write,
        mut hidden: Option<BufWriter<File>>,
        truth: &[f64],
        parts: &[(&str, u32)],
    ) -> Result<Vec<(String, Vec<f64>)>> {
        let names: Vec<String> = (1..=self.arguments.features).map(|feature| format!("feature{feature}")).collect();
        writeln!(file, "id,era,data_type,{},target", names.join(","))?;
        if let Some(hidden) = &mut hidden {
            writeln!(hidden, "id,target")?;
        }
        let mut rows = Vec::new();
        for (part, count) in parts {
            for row in 0..*count {
                let id = format!("n{:016x}", self.random.next_u64());
                let values = features(&mut self.random, self.arguments.features);
                let target = u8::from(uniform(&mut self.random) < probability(&values, truth));
                let cells: Vec<String> = values.iter().map(|value| format!("{value:.6}")).collect();
                // Only organisers have the targets of test and live data.
                let shown = if matches!(*part, "test" | "live") { String::new() } else { target.to_string() };
                writeln!(file, "{id},era{},{part},{},{shown}", row / ERA_ROWS + 1, cells.join(","))?;
                if let Some(hidden) = &mut hidden {
                    writeln!(hidden, "{id},{target}")?;
                }
                rows.push((id, values));
            }
        }
        file.flush()?;
        if let Some(hidden) = &mut hidden {
            hidden.flush()?;
        }
        Ok(rows)
    }

    /// Writes the submissions, oldest first, and the manifest with their users and times. Returns their names.
    fn submissions(&mut self, rows: &[(String, Vec<f64>)]) -> Result<Vec<String>> {
        let Arguments { folder, honest, near_duplicates, duplicates, .. } = self.arguments;
        let mut manifest = create(&folder.join("manifest.csv"))?;
        writeln!(manifest, "file,user,created,kind")?;
        let mut models = Vec::new();
        let mut names = Vec::new();
        for (kind, count) in [("honest", *honest), ("near-duplicate", *near_duplicates), ("duplicate", *duplicates)] {
            for number in 1..=count {
                let model = if kind == "honest" {
                    models.push(weights(&mut self.random, self.arguments.features));
                    models.len() - 1
                } else {
                    (number as usize - 1) % models.len()
                };
                let name = format!("submissions/{kind}-{number:04}.csv");
                let mut file = create(&folder.join(&name))?;
                writeln!(file, "id,probability")?;
                for (id, values) in rows {
                    let noise = if kind == "near-duplicate" { NEAR * (uniform(&mut self.random) - 0.5) } else { 0.0 };
                    let probability = (probability(values, &models[model]) + noise).clamp(0.0, 1.0);
                    writeln!(file, "{id},{probability:.9}")?;
                }
                file.flush()?;
                let minute = names.len();
                let (day, hour) = (1 + minute / 1440 % 28, minute / 60 % 24);
                let created = format!("2026-01-{day:02}T{hour:02}:{:02}:00Z", minute % 60);
                writeln!(manifest, "{name},user-{minute},{created},{kind}")?;
                names.push(name);
            }
        }
        manifest.flush()?;
        Ok(names)
    }
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    Ok(BufWriter::new(File::create(path).with_context(|| format!("{}", path.display()))?))
}
