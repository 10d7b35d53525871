//! Pickles as NumPy writes them, and pickles that nobody should write.

use super::*;

/// NumPy 2, protocol 2.
const PROTOCOL_2: &str = "\
    8002636e756d70792e5f636f72652e6d756c746961727261790a5f7265636f6e7374727563740a7100636e756d70\
    790a6e6461727261790a71014b00857102635f636f646563730a656e636f64650a71035801000000627104580600\
    00006c6174696e317105867106527107877108527109284b0129636e756d70790a64747970650a710a5802000000\
    4f38710b898887710c52710d284b0358010000007c710e4e4e4e4affffffff4affffffff4b3f74710f62895d7110\
    7d7111285808000000636f6e645f6964787112680068014b008571136807877114527115284b014b03857116680a\
    5802000000693871178988877118527119284b0358010000003c711a4e4e4e4affffffff4affffffff4b0074711b\
    628968035818000000000000000000000001000000000000002c01000000000000711c680586711d52711e74711f\
    62580f000000636f6e645f6964785f756e7365656e7120680068014b008571216807877122527123284b014b0285\
    7124680a5802000000693471258988877126527127284b03681a4e4e4e4affffffff4affffffff4b007471286289\
    6803580c00000005000000c3bec3bfc3bfc3bf7129680586712a52712b74712c62756174712d622e\
";

/// NumPy 2, protocol 3.
const PROTOCOL_3: &str = "\
    8003636e756d70792e5f636f72652e6d756c746961727261790a5f7265636f6e7374727563740a7100636e756d70\
    790a6e6461727261790a71014b008571024301627103877104527105284b0129636e756d70790a64747970650a71\
    0658020000004f3871078988877108527109284b0358010000007c710a4e4e4e4affffffff4affffffff4b3f7471\
    0b62895d710c7d710d285808000000636f6e645f696478710e680068014b0085710f6803877110527111284b014b\
    0385711268065802000000693871138988877114527115284b0358010000003c71164e4e4e4affffffff4affffff\
    ff4b0074711762894318000000000000000001000000000000002c01000000000000711874711962580f00000063\
    6f6e645f6964785f756e7365656e711a680068014b0085711b680387711c52711d284b014b0285711e6806580200\
    00006934711f8988877120527121284b0368164e4e4e4affffffff4affffffff4b007471226289430805000000fe\
    ffffff7123747124627561747125622e\
";

/// NumPy 2, protocol 4.
const PROTOCOL_4: &str = "\
    80049549010000000000008c166e756d70792e5f636f72652e6d756c74696172726179948c0c5f7265636f6e7374\
    727563749493948c056e756d7079948c076e6461727261799493944b0085944301629487945294284b012968038c\
    0564747970659493948c024f3894898887945294284b038c017c944e4e4e4affffffff4affffffff4b3f74946289\
    5d947d94288c08636f6e645f69647894680268054b008594680787945294284b014b038594680b8c026938948988\
    87945294284b038c013c944e4e4e4affffffff4affffffff4b007494628943180000000000000000010000000000\
    00002c01000000000000947494628c0f636f6e645f6964785f756e7365656e94680268054b008594680787945294\
    284b014b028594680b8c02693494898887945294284b03681b4e4e4e4affffffff4affffffff4b00749462894308\
    05000000feffffff9474946275617494622e\
";

/// NumPy 2, protocol 5.
const PROTOCOL_5: &str = "\
    80059565010000000000008c166e756d70792e5f636f72652e6d756c74696172726179948c0c5f7265636f6e7374\
    727563749493948c056e756d7079948c076e6461727261799493944b0085944301629487945294284b012968038c\
    0564747970659493948c024f3894898887945294284b038c017c944e4e4e4affffffff4affffffff4b3f74946289\
    5d947d94288c08636f6e645f696478948c136e756d70792e5f636f72652e6e756d65726963948c0b5f66726f6d62\
    756666657294939428961800000000000000000000000000000001000000000000002c0100000000000094680b8c\
    02693894898887945294284b038c013c944e4e4e4affffffff4affffffff4b007494624b0385948c014394749452\
    948c0f636f6e645f6964785f756e7365656e9468162896080000000000000005000000feffffff94680b8c026934\
    94898887945294284b03681b4e4e4e4affffffff4affffffff4b007494624b028594681e7494529475617494622e\
";

/// Lists, one with a NumPy scalar, protocol 4.
const LISTS: &str = "\
    800495fd000000000000008c166e756d70792e5f636f72652e6d756c74696172726179948c0c5f7265636f6e7374\
    727563749493948c056e756d7079948c076e6461727261799493944b0085944301629487945294284b012968038c\
    0564747970659493948c024f3894898887945294284b038c017c944e4e4e4affffffff4affffffff4b3f74946289\
    5d947d94288c08636f6e645f696478945d94284b004b014d2c01658c0f636f6e645f6964785f756e7365656e945d\
    942868008c067363616c6172949394680b8c02693894898887945294284b038c013c944e4e4e4affffffff4affff\
    ffff4b007494624308050000000000000094869452944afeffffff6575617494622e\
";

/// Big-endian unsigned integers and an empty array, protocol 2.
const ODD: &str = "\
    8002636e756d70792e5f636f72652e6d756c746961727261790a5f7265636f6e7374727563740a7100636e756d70\
    790a6e6461727261790a71014b00857102635f636f646563730a656e636f64650a71035801000000627104580600\
    00006c6174696e317105867106527107877108527109284b0129636e756d70790a64747970650a710a5802000000\
    4f38710b898887710c52710d284b0358010000007c710e4e4e4e4affffffff4affffffff4b3f74710f62895d7110\
    7d7111285808000000636f6e645f6964787112680068014b008571136807877114527115284b014b03857116680a\
    5802000000753271178988877118527119284b0358010000003e711a4e4e4e4affffffff4affffffff4b0074711b\
    62896803580600000000000001012c711c680586711d52711e74711f62580f000000636f6e645f6964785f756e73\
    65656e7120680068014b008571216807877122527123284b014b00857124680a5802000000693871258988877126\
    527127284b0358010000003c71284e4e4e4affffffff4affffffff4b007471296289635f5f6275696c74696e5f5f\
    0a62797465730a712a2952712b74712c62756174712d622e\
";

const KEYS: [&str; 2] = ["cond_idx", "cond_idx_unseen"];

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    let (pairs, _) = hex.as_bytes().as_chunks();
    pairs.iter().map(|&[high, low]| digit(high) * 16 + digit(low)).collect()
}

/// The `.npy` file around a pickle.
fn file(pickle: &[u8]) -> Vec<u8> {
    let header = "{'descr': '|O', 'fortran_order': False, 'shape': (), }\n";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(pickle);
    bytes
}

fn refused(pickle: &[u8]) -> String {
    format!("{:#}", index_lists(&file(pickle), KEYS).expect_err("an error"))
}

#[test]
fn every_protocol_and_layout_reads() {
    for pickle in [PROTOCOL_2, PROTOCOL_3, PROTOCOL_4, PROTOCOL_5, LISTS] {
        let lists = index_lists(&file(&bytes(pickle)), KEYS).unwrap();
        assert_eq!(lists, [vec![0, 1, 300], vec![5, -2]]);
    }
    let lists = index_lists(&file(&bytes(ODD)), KEYS).unwrap();
    assert_eq!(lists, [vec![0, 1, 300], vec![]]);
}

#[test]
fn numpy_1_names_are_known() {
    let text: String = bytes(PROTOCOL_3).into_iter().map(char::from).collect();
    let older: Vec<u8> = text
        .replace("numpy._core.", "numpy.core.")
        .chars()
        .map(|character| character as u8)
        .collect();
    assert_ne!(older, bytes(PROTOCOL_3));
    assert_eq!(index_lists(&file(&older), KEYS).unwrap()[0], [0, 1, 300]);
}

#[test]
fn nothing_is_executed() {
    let call = refused(b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.");
    assert!(call.contains("refusing to use the pickle global os.system"), "{call}");
    let named = refused(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.");
    assert!(named.contains("builtins.eval"), "{named}");
    let opcode = refused(b"\x80\x02(i__main__\nX\n.");
    assert!(opcode.contains("refusing to execute pickle opcode 0x69"), "{opcode}");
    assert!(opcode.contains("pickle byte 3"), "{opcode}");
    let call = refused(b"\x80\x02cnumpy\nndarray\nK\x01\x85R.");
    assert!(call.contains("refusing to call NdArray"), "{call}");
}

#[test]
fn other_contents_are_named() {
    let lists = |keys: [&str; 1]| index_lists(&file(&bytes(LISTS)), keys);
    let missing = lists(["train"]).unwrap_err().to_string();
    assert!(missing.contains("no `train` in the dict, only: cond_idx"), "{missing}");
    assert!(refused(b"\x80\x02K\x01.").contains("something else than a dict"));
    assert!(refused(b"\x80\x02}X\x08\x00\x00\x00cond_idxNs.").contains("neither an array nor"));
    assert!(refused(b"\x80\x07.").contains("protocol 2 to 5"));
    assert!(refused(b"").contains("ends too early"));
    assert!(refused(b"\x80\x02.").contains("than is there"));
}

/// Encoding the same text again and again would grow without bound.
#[test]
fn memory_stays_in_proportion() {
    let mut pickle = b"\x80\x02c_codecs\nencode\nq\x00X\xe8\x03\x00\x00".to_vec();
    pickle.extend_from_slice(&[b'a'; 1000]);
    pickle.extend_from_slice(b"q\x01X\x06\x00\x00\x00latin1q\x02");
    pickle.extend_from_slice(&b"h\x00h\x01h\x02\x86R".repeat(100));
    pickle.push(b'.');
    assert!(refused(&pickle).contains("more data than the file holds"));
}

/// Copying the same long tuple again and again would take for ever.
#[test]
fn arguments_and_states_are_few() {
    let long = [&b"("[..], &b"K\x01".repeat(17), b"tq\x00"].concat();
    let call = [b"\x80\x02cnumpy\ndtype\n", &long[..], b"R."].concat();
    assert!(refused(&call).contains("17 items where NumPy has few"));
    let state = [b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00i8\x85R", &long[..], b"b."].concat();
    assert!(refused(&state).contains("17 items where NumPy has few"));
}

#[test]
fn garbage_never_panics() {
    for pickle in [PROTOCOL_2, PROTOCOL_4, PROTOCOL_5, LISTS, ODD] {
        let whole = bytes(pickle);
        for length in 0..whole.len() {
            assert!(index_lists(&file(&whole[..length]), KEYS).is_err());
        }
        // A small generator is enough: the point is variety, not quality.
        let mut state = 1_u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        for _ in 0..4000 {
            let mut bytes = whole.clone();
            for _ in 0..=random(3) {
                let at = random(bytes.len());
                bytes[at] = random(256) as u8;
            }
            drop(index_lists(&file(&bytes), KEYS));
        }
    }
}
