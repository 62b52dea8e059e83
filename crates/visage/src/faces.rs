//! Options for the faces in photographs, and aligning the photographs of a dataset.

use clap::{Args, ValueEnum};
use visage_data::{Alignment, Dataset};
use visage_faces::{FaceFinder, Search, Store, alignments};
use visage_model::Card;
use visage_run::bulk::FaceSearch;
use visage_run::{Align, Recipe};

use crate::error::CommandError;
use crate::output;
use crate::progress::Progress;
use crate::tables::{count, counted};

/// Photographs without a face that are listed; the rest is only counted.
const LISTED: usize = 20;

/// Which faces of a photograph are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Faces {
    /// Every face.
    All,
    /// The largest.
    Largest,
    /// None is looked for: the image is used as it is.
    Off,
}

impl Faces {
    /// How faces are found, if they are.
    pub fn search(self, any_rotation: bool) -> Result<Option<FaceSearch>, CommandError> {
        if self == Faces::Off {
            return Ok(None);
        }
        let finder = FaceFinder::new(&Store::of_user()?)?;
        let search = Search { any_rotation, ..Search::default() };
        Ok(Some(FaceSearch { finder, search, largest: self == Faces::Largest }))
    }
}

/// Which faces of a labelled photograph are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LabelledFaces {
    /// The face that the table gives landmarks or a box for, or else the largest, aligned as CelebA's.
    Largest,
    /// The image as it is.
    Off,
}

/// Options for the faces of labelled photographs.
#[derive(Clone, Copy, Debug, Args)]
pub struct LabelledFacesArgs {
    /// Find the face in each photograph and align it, as a model for aligned faces expects, or use images as they are [default: as in
    /// the model's training].
    #[arg(long, value_enum, value_name = "FACES")]
    pub faces: Option<LabelledFaces>,
}

/// Aligns the photographs of a dataset if a recipe says so.
pub fn align_for_recipe(dataset: &mut Dataset, recipe: &Recipe) -> Result<(), CommandError> {
    match (recipe.input.align, dataset.alignment()) {
        (Some(Align::Celeba), Some(Alignment::Celeba)) => {
            output::note(&format!("{}: already aligned as CelebA's images", dataset.name()));
            Ok(())
        }
        (Some(Align::Celeba), _) => align(dataset),
        (None, Some(Alignment::Celeba)) => {
            output::note(&format!(
                "{}: the images look aligned as CelebA's, which the model will expect (input.align says otherwise)",
                dataset.name()
            ));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Aligns the photographs of a dataset for a model, by choice or as its recipe did. Warns where the model expects aligned faces and
/// gets others.
pub fn align_for_model(dataset: &mut Dataset, card: &Card, choice: Option<LabelledFaces>) -> Result<(), CommandError> {
    let is_expected = card.preparation.alignment == Some(Alignment::Celeba);
    match choice {
        Some(LabelledFaces::Largest) => align(dataset),
        Some(LabelledFaces::Off) => Ok(()),
        None if !is_expected || dataset.alignment() == Some(Alignment::Celeba) => Ok(()),
        None if was_trained_on_photographs(card) => align(dataset),
        // The images on which the model was trained are of the form that it expects.
        None if dataset.fingerprint() == card.origin.dataset_fingerprint => Ok(()),
        None => {
            output::warning(&format!(
                "the model expects faces aligned as CelebA's, and the images of {} are not of their shape: \
                 --faces largest finds and aligns them, --faces off uses them as they are",
                dataset.name()
            ));
            Ok(())
        }
    }
}

/// Whether the recipe of a model aligned photographs.
fn was_trained_on_photographs(card: &Card) -> bool {
    Recipe::parse(&card.origin.recipe, "the model", "").is_ok_and(|recipe| recipe.input.align == Some(Align::Celeba))
}

/// Finds the face of each photograph, which is aligned when it is read. Leaves out and lists photographs without one.
fn align(dataset: &mut Dataset) -> Result<(), CommandError> {
    let photographs = dataset.samples().len();
    if dataset.form() == "pack" {
        let pack = dataset.name().to_owned();
        return Err(CommandError::PackWithoutPhotographs { pack });
    }
    let mut progress = Progress::new("finding faces", "photographs", photographs as u64);
    let found = alignments(dataset, &Store::of_user()?, |done| progress.set(done as u64, String::new))?;
    drop(progress);
    let without: Vec<usize> = (0..photographs).filter(|&index| found[index].is_none()).collect();
    dataset.align(found);
    if without.is_empty() {
        return Ok(());
    }
    let [none, all] = [without.len(), photographs].map(|number| number as u64);
    output::warning(&format!("{} of {} have no face and are left out", count(none), counted(all, "photograph")));
    for &index in without.iter().take(LISTED) {
        output::problem(&format!("  {}", dataset.samples()[index].image));
    }
    if without.len() > LISTED {
        output::problem(&format!("  and {} more", count((without.len() - LISTED) as u64)));
    }
    if without.len() == photographs {
        return Err(CommandError::NoFaces { dataset: dataset.name().to_owned() });
    }
    dataset.leave_out(&without);
    Ok(())
}
