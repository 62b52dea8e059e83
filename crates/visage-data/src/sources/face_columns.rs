//! Columns of a table that say where the face is in an image: its landmarks and its box.

use super::split_column::plain;
use crate::alignment::Point;
use crate::error::TableFault;
use crate::sample::Sample;

/// The points of a face without case and punctuation, as CelebA's header and others call them.
pub(super) const POINTS: [&str; 5] = ["lefteye", "righteye", "nose", "leftmouth", "rightmouth"];
/// The index of the point that a table may lack.
const NOSE: usize = 2;
/// Names of the columns of a box: left, top, width and height.
pub(super) const BOXES: [[&str; 4]; 5] = [
    ["x1", "y1", "width", "height"],
    ["boxx", "boxy", "boxwidth", "boxheight"],
    ["bboxx", "bboxy", "bboxwidth", "bboxheight"],
    ["bboxx", "bboxy", "bboxw", "bboxh"],
    ["facex", "facey", "facewidth", "faceheight"],
];

/// The columns of the landmarks and of the box, by their indices.
#[derive(Clone, Debug, Default)]
pub(super) struct FaceColumns {
    /// For each point its x and y; without the nose, its columns are those of the left eye.
    landmarks: Option<[[usize; 2]; 5]>,
    has_nose: bool,
    face_box: Option<[usize; 4]>,
}

impl FaceColumns {
    /// Finds the columns by their names among `candidates`.
    pub(super) fn find(names: &[String], candidates: &[usize]) -> Self {
        let column = |wanted: &str| candidates.iter().copied().find(|&column| plain(&names[column]) == wanted);
        let point = |point: &str| Some([column(&format!("{point}x"))?, column(&format!("{point}y"))?]);
        let nose = point(POINTS[NOSE]);
        let landmarks = || {
            let [left_eye, right_eye, left_mouth, right_mouth] =
                [point(POINTS[0])?, point(POINTS[1])?, point(POINTS[3])?, point(POINTS[4])?];
            Some([left_eye, right_eye, nose.unwrap_or(left_eye), left_mouth, right_mouth])
        };
        let face_box = BOXES
            .iter()
            .find_map(|[x, y, width, height]| Some([column(x)?, column(y)?, column(width)?, column(height)?]));
        FaceColumns { landmarks: landmarks(), has_nose: nose.is_some(), face_box }
    }

    /// All columns.
    pub(super) fn columns(&self) -> Vec<usize> {
        let points = self.landmarks.iter().flatten().flatten();
        points.chain(self.face_box.iter().flatten()).copied().collect()
    }

    /// What they hold, in words.
    pub(super) fn describe(&self) -> Option<&'static str> {
        match (self.landmarks, self.face_box) {
            (Some(_), Some(_)) => Some("columns hold landmarks and boxes of faces"),
            (Some(_), None) => Some("columns hold landmarks of faces"),
            (None, Some(_)) => Some("columns hold boxes of faces"),
            (None, None) => None,
        }
    }

    /// Reads the fields of a row into its sample. Blank fields are unknown.
    pub(super) fn read<'a>(
        &self,
        sample: &mut Sample,
        field: impl Fn(usize) -> Result<&'a str, TableFault>,
    ) -> Result<(), TableFault> {
        let number = |column: usize| match field(column)? {
            "" => Ok(None),
            value => match value.parse() {
                Ok(number) if f64::is_finite(number) => Ok(Some(number)),
                _ => Err(TableFault::NotPixels { value: value.to_owned() }),
            },
        };
        let all =
            |columns: &[usize]| columns.iter().map(|&column| number(column)).collect::<Result<Option<Vec<_>>, _>>();
        if let Some(columns) = self.landmarks
            && let Some(values) = all(columns.as_flattened())?
        {
            let mut points: [Point; 5] = std::array::from_fn(|point| [values[2 * point], values[2 * point + 1]]);
            if !self.has_nose {
                points[NOSE] = [f64::NAN; 2];
            }
            sample.landmarks = Some(points);
        }
        if let Some(columns) = self.face_box
            && let Some(values) = all(&columns)?
        {
            sample.face_box = Some([values[0], values[1], values[2], values[3]]);
        }
        Ok(())
    }
}
