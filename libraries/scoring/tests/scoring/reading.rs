//! Training and tournament data, and region files.

use scoring::kmeans::KMeans;
use scoring::{Features, InvalidFile, Limits, NotAligned, Predictions, Regions, Roster, Split};

const TRAINING: &str =
    "id,era,feature1,x_feature2,target\nt1,e,0.1,0.2,1\nt2,e,,0.3,0\nt3,e,0.4,NaN,0\nt4,e,0.5,0.6,1\n";

fn training(text: &str) -> Result<Features, InvalidFile> {
    Features::read_training(text.as_bytes(), &Limits::data())
}

fn tournament(text: &str) -> Result<(Features, Roster), InvalidFile> {
    training(TRAINING).unwrap().append_tournament(text.as_bytes(), &Limits::data())
}

#[test]
fn complete_training_rows_come_first_then_all_tournament_rows() {
    let text = "x_feature2,id,data_type,feature1,target\n9,c,live,8,\n7,a,validation,6,0\n5,b,test,4,\n";
    let (features, roster) = tournament(text).unwrap();
    assert_eq!(features.names(), ["feature1", "x_feature2"]);
    let rows: Vec<Vec<f32>> = (0..features.rows().count()).map(|row| features.rows().row(row).collect()).collect();
    assert_eq!(rows, [[0.1, 0.2], [0.5, 0.6], [8.0, 9.0], [6.0, 7.0], [4.0, 5.0]]);
    let ids: Vec<(&str, Split)> = roster.iter().collect();
    assert_eq!(ids, [("a", Split::Validation), ("b", Split::Test), ("c", Split::Live)]);
    assert_eq!(roster.file_order(), [2, 0, 1]);
    assert_eq!(Roster::read(text.as_bytes(), &Limits::data()).unwrap(), roster);
    assert_eq!((roster.position("c"), roster.position("d"), roster.id(3)), (Some(2), None, None));
}

#[test]
fn data_that_cannot_be_clustered_is_refused() {
    assert!(matches!(training("id,target\na,1\n"), Err(InvalidFile::NoFeatures)));
    assert!(matches!(training("id,feature\na,x\n"), Err(InvalidFile::NotANumber { .. })));
    assert!(matches!(training("id,feature\na,1e16\n"), Err(InvalidFile::OutOfRange { .. })));
    assert!(matches!(training("id,feature\na,inf\n"), Err(InvalidFile::NotFinite { .. })));
    let header = "id,data_type,feature1,x_feature2\n";
    let refused = |rows: &str| tournament(&format!("{header}{rows}")).unwrap_err().to_string();
    assert_eq!(refused("a,live,,1\n"), "line 2, id a, column feature1: the feature is missing");
    assert_eq!(refused("a,train,1,1\n"), "line 2, id a, column data_type: \"train\" is not validation, test or live");
    assert_eq!(refused(""), "the file has a header line but no rows");
    assert_eq!(refused("a,live,1,1\na,test,1,1\n"), "every id must appear exactly once; 1 duplicate: a");
    assert!(matches!(tournament("id,data_type,feature1\n"), Err(InvalidFile::MissingColumn { .. })));
}

#[test]
fn regions_are_read_back_as_written() {
    let text = "id,data_type,feature\n\"say \"\"a\"\"\",test,0\nb,live,0.1\n\"c,d\",validation,7\ne,test,7.1\n";
    let (features, roster) = Features::read_tournament(text.as_bytes(), &Limits::data()).unwrap();
    let parameters = KMeans { clusters: 2, ..KMeans::default() };
    let regions = Regions::cluster(&features, &roster, &parameters, 3).unwrap();
    let of = |id: &str| regions.values()[roster.position(id).unwrap()];
    assert!(of("say \"a\"") == of("b") && of("c,d") == of("e") && of("b") != of("e"));
    let mut bytes = Vec::new();
    regions.write(&roster, &mut bytes).unwrap();
    assert!(bytes.starts_with(b"id,region\nb,"));
    assert_eq!(Regions::read(&bytes[..], &roster, &Limits::predictions()).unwrap(), regions);
}

#[test]
fn a_region_file_is_used_as_given_or_refused() {
    let roster = Roster::read("id,data_type\na,test\nb,live\n".as_bytes(), &Limits::data()).unwrap();
    let read = |text: &str| Regions::read(text.as_bytes(), &roster, &Limits::predictions());
    assert_eq!(read("id,region\nb,17\na,4294967295\n").unwrap().values(), [4_294_967_295, 17]);
    assert!(matches!(read("id,region\na,-1\nb,0\n"), Err(InvalidFile::OutOfRange { .. })));
    assert!(matches!(read("id,region\na,1.5\nb,0\n"), Err(InvalidFile::OutOfRange { .. })));
    assert!(matches!(read("id,region\na,x\nb,0\n"), Err(InvalidFile::NotANumber { .. })));
    assert!(matches!(read("id,region\na,1\n"), Err(InvalidFile::Ids(_))));
    assert!(matches!(read("id,region,x\na,1,1\n"), Err(InvalidFile::UnexpectedColumn { .. })));
}

#[test]
fn a_roster_that_is_read_back_equals_the_written_one() {
    let data = "data_type,id,feature1\ntest,b,1\nvalidation,\"a,1\",2\nlive,\"say \"\"c\"\"\",3\n";
    let roster = Roster::read(data.as_bytes(), &Limits::data()).unwrap();
    let mut written = Vec::new();
    roster.write(&mut written).unwrap();
    assert_eq!(
        String::from_utf8(written.clone()).unwrap(),
        "id,data_type\n\"a,1\",validation\nb,test\n\"say \"\"c\"\"\",live\n"
    );
    let again = Roster::read(written.as_slice(), &Limits::data()).unwrap();
    assert!(again.iter().eq(roster.iter()));
}

#[test]
fn stored_values_of_another_tournament_are_refused() {
    let roster = Roster::read(&b"id,data_type\na,test\nb,live\n"[..], &Limits::data()).unwrap();
    assert_eq!(Predictions::from_aligned(vec![0.0, 1.0], &roster).unwrap().values(), [0.0, 1.0]);
    let few = Predictions::from_aligned(vec![0.5], &roster);
    assert_eq!(few, Err(NotAligned::Count { found: 1, expected: 2 }));
    for value in [1.5, -0.1, f64::NAN] {
        let error = Predictions::from_aligned(vec![0.5, value], &roster);
        assert_eq!(error, Err(NotAligned::OutOfRange { index: 1 }));
    }
}
