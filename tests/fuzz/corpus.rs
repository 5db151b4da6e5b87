//! What the mutations begin with, and the words that they put in.

pub(crate) const REPLIES: &[&[u8]] = &[
    br#"{"data":{"people":{"edges":[{"node":{"id":"1","name":"Ada"}}]}}}"#,
    br#"{"data":null,"errors":[{"message":"no","path":["a",0],"extensions":{"code":"UNAUTHENTICATED","subCode":"X"}}]}"#,
    br#"{"errors":[{"message":"Non autoris\u00e9","locations":[{"line":1,"column":2}],"extensions":{"a":{"b":[1,null,true]},"code":"FORBIDDEN"}}]}"#,
    br#"[{"data":{"a":1}},{"errors":[{"message":"m"}]}]"#,
    b"\xef\xbb\xbf {\"\\u0064ata\":{},\"errors\":null,\"extensions\":{\"cost\":1.5e3}}",
    b"{\"errors\":[{\"message\":\"Non autoris\xe9\"}],\"data\":{\"name\":\"\xe9\"}}",
    br#"{"errors":[0,0,0,0,0,0,0,0]}"#,
    b"<html><body>502</body></html>",
];

pub(crate) const JSON: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b":",
    b",",
    b"null",
    b"true",
    b"1e999",
    b"\\u0000",
    b"\\ud83d",
    b"\\\"",
    b"\"data\":",
    b"\"errors\":",
    b"\"extensions\":",
    b"\"code\":",
    b"\"tokens\":",
    b"\"token\":",
    b"\"expiresAt\":",
    b"\"refreshToken\":",
    b"\"accessToken\":",
    b"\"base64\":",
    b"\"refresh\":",
    b"\"issued_at\":",
    b"\"generation\":",
    b"\xff",
    b"\xef\xbb\xbf",
];

pub(crate) const OPERATIONS: &[&[u8]] = &[
    br#"{"query":"query People($first: Int = 3) { people(first: $first, filter: {name: {eq: \"a\"}}) { edges { node { id } } } }","operationName":"People","variables":{"first":1}}"#,
    br#"{"query":"mutation M { createPerson(data: {name: \"\"\"block \\\"\"\" text\"\"\"}) { id } }"}"#,
    br##"{"query":"# comment\nfragment F on T @a(b: [1, 2.5e3, null, E]) { ...G ... on X { a } } subscription S { a }"}"##,
    br#"{"query":"{ me }"}"#,
    br#"{"query":"{a(x:{y:{z:[[[$v]]]}})}","operationName":null}"#,
    br#"{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"00"}}}"#,
    br#"[{"query":"{ a }"},{"query":"mutation { b }"}]"#,
];

pub(crate) const GRAPHQL: &[&[u8]] = &[
    b"{",
    b"}",
    b"(",
    b")",
    b"[",
    b"]",
    b"...",
    b"@a",
    b"$v",
    b"!",
    b"&",
    b"|",
    b"\\\"\\\"\\\"",
    b"\\\"",
    b"#",
    b"\\n",
    b"\\ufeff",
    b"query",
    b"mutation ",
    b"subscription",
    b"fragment F on ",
    b" on ",
    b"\"query\":\"",
    b"\"operationName\":\"",
    b"0x",
    b"1e",
];

pub(crate) const FORMS: &[&[u8]] = &[
    b"multipart/form-data; boundary=b\n--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n{\"query\":\"mutation($f: Upload!) { upload(file: $f) }\",\"variables\":{\"f\":null}}\r\n--b\r\nContent-Disposition: form-data; name=\"map\"\r\n\r\n{\"0\":[\"variables.f\"]}\r\n--b\r\nContent-Disposition: form-data; name=\"0\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\nbytes\r\n--b--\r\n",
    b"multipart/form-data; boundary=\"a b\"\n--a b\r\ncontent-disposition: form-data; name=operations\r\n\r\n{\"query\":\"{ a }\"}\r\n--a b\r\ncontent-disposition: form-data; name=map\r\n\r\n{}\r\n--a b--",
];

pub(crate) const FORM: &[&[u8]] = &[
    b"\r\n",
    b"--b",
    b"--b--",
    b"\n",
    b"boundary=",
    b"multipart/form-data",
    b"name=\"operations\"",
    b"name=\"map\"",
    b"Content-Disposition: form-data; ",
    b"Content-Type: ",
    b"filename*=UTF-8''%e2%82",
    b"\"",
    b";",
    b"\\",
];

pub(crate) const EVENTS: &[&[u8]] = &[
    b"event: next\ndata: {\"data\":{\"a\":1}}\n\nevent: complete\ndata:\n\n",
    b": keep-alive\r\n\r\nid: 7\r\nretry: 3000\r\nevent: next\r\ndata: {\"data\":\r\ndata: null}\r\n\r\n:\r\n\r\n",
    b"\xef\xbb\xbfevent:next\rdata:a\r\rdata\revent\r\r",
    b"event: next\ndata: \xff\xfe\n\n\n\nevent: complete\n\n",
];

pub(crate) const EVENT: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b":",
    b"event: next\n",
    b"event: complete\n",
    b"data: ",
    b"data",
    b"id: ",
    b"retry: ",
    b"\0",
    b"\xff",
];

pub(crate) const RENEWALS: &[&[u8]] = &[
    br#"{"data":{"renewToken":{"tokens":{"accessOrWorkspaceAgnosticToken":{"token":"aaa.eyJzdWIiOiIxIiwid29ya3NwYWNlSWQiOiIyIn0.ccc","expiresAt":"2026-11-30T12:00:00.000Z"},"refreshToken":{"token":"ddd","expiresAt":"2027-01-30T12:00:00.000Z"}}}}}"#,
    br#"{"data":{"renewToken":{"tokens":{"accessToken":{"token":"a\u002eb\/c","expiresAt":1764504000},"refreshToken":null}}},"errors":[{"message":"a warning"}]}"#,
    br#"{"errors":[{"message":"This refresh token has been revoked","extensions":{"code":"FORBIDDEN","subCode":"INVALID"}}],"data":null}"#,
    br#"{"errors":[{"message":"Cannot query field \"renewToken\" on type \"Mutation\".","extensions":{"code":"GRAPHQL_VALIDATION_FAILED"}}]}"#,
    br#"{"access_token":"a.b.c","token_type":"Bearer","expires_in":1800,"refresh_token":"r","scope":"api profile"}"#,
    br#"{"error":"invalid_grant","error_description":"Invalid or expired refresh token"}"#,
    br#"{"data":{"auth_refresh":{"access_token":"a","refresh_token":"r","expires":"900000"}}}"#,
    br#"{"session":{"accessToken":"a","accessTokenExpiresIn":900,"refreshToken":"r","user":{"id":"1","email":"a@b.c"}}}"#,
];

pub(crate) const JWTS: &[&[u8]] = &[
    b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIiwid29ya3NwYWNlSWQiOiIyIiwiZXhwIjoxNzY0NTA0MDAwfQ.c2lnbmF0dXJl",
    b"a.e30.c",
    b"opaque",
];

pub(crate) const BASE64: &[&[u8]] = &[
    b".",
    b"=",
    b"-",
    b"_",
    b"+",
    b"/",
    b"eyJzdWIiOiI",
    b"W1tb",
    b"e30",
];

pub(crate) const RECORDS: &[&[u8]] = &[
    br#"{"version":1,"session":"00000000000000000000000000000001","begun_at":1000,"generation":3,"credentials":"00000000000000000000000000000002","access_until":5000,"issued_at":2000,"protocol":"twenty","origin":"https://crm.example.com","person":"ada@example.com","subject":null,"folder":"f","dialect":1,"access":"the-access-token","refresh":"the-refresh-token","refresh_until":null,"renewing_at":null}"#,
    br#"{"version":1,"session":"00000000000000000000000000000001","begun_at":1000,"generation":3,"credentials":"00000000000000000000000000000002","access_until":null,"issued_at":2000,"protocol":"twenty","origin":"https://crm.example.com","person":"\"ada\" \\ \u00e9","subject":"s","dialect":0,"refresh":{"base64":"YSJi"},"refresh_until":9000,"renewing_at":7}"#,
];

pub(crate) const STRINGS: &[&[u8]] = &[
    br#""plain""#,
    br#""a\"b\\c\/d\b\f\n\r\t""#,
    br#""\u0041\u00e9\ud83d\ude00""#,
    "\"é😀\"".as_bytes(),
];

pub(crate) const ESCAPES: &[&[u8]] = &[
    b"\\",
    b"\\\\",
    b"\"",
    b"\\\"",
    b"\\u",
    b"\\u00",
    b"\\ud83d",
    b"\\ude00",
    b"\\u0000",
    b"\\x",
    "é".as_bytes(),
];

pub(crate) const STATES: &[&[u8]] = &[
    br#"{"version":1,"account":"default","server":"https://crm.example.com","person":"ada@example.com","protocol":"twenty","stamp":{"session":"00000000000000000000000000000001","begun_at":1000,"generation":3,"credentials":"00000000000000000000000000000002","access_until":5000,"issued_at":2000},"standing":"signed_in","not_before":null,"last_failure":{"credentials":"00000000000000000000000000000002","at":1,"token":"maybe_used","next_at":2},"saved_at":3}"#,
    br#"{"version":1,"account":"default","server":"https://crm.example.com","person":null,"protocol":"twenty","stamp":{"session":"00000000000000000000000000000001","begun_at":1000,"generation":3,"credentials":"00000000000000000000000000000002","access_until":null,"issued_at":2000},"standing":{"ended":{"reason":"rejected","at":9}},"not_before":4,"last_failure":null,"saved_at":null}"#,
];

pub(crate) const ENDED: &[&[u8]] = &[
    b"\n00000000000000000000000000000002 signed_out\n\n00000000000000000000000000000003 rejected\n",
    b"\n00000000000000000000000000000002 lost_ans\n00000000000000000000000000000003 unreachable_too_long\n",
    b"\0\0\0\0\0\0\0\0\n\xff\xfe 7\n",
];

pub(crate) const ENDINGS: &[&[u8]] = &[
    b"\n",
    b" ",
    b"signed_out",
    b"rejected",
    b"lost_answer",
    b"\0",
    b"\xff",
    b"00000000000000000000000000000004",
];

pub(crate) const PAUSES: &[&[u8]] = &[
    b"120\nMon, 30 Nov 2026 12:00:00 GMT",
    b"Mon, 30 Nov 2026 12:01:00 GMT\nMon, 30 Nov 2026 12:00:00 GMT",
    b"Monday, 30-Nov-26 12:01:00 GMT\nMon Nov 30 12:00:00 2026",
    b"18446744073709551615\nFri, 31 Dec 9999 23:59:59 GMT",
    b"Thu, 01 Jan 1970 00:00:00 GMT\nSat, 01 Jan 0000 00:00:00 GMT",
];

pub(crate) const DATES: &[&[u8]] = &[
    b"9999",
    b"0000",
    b"31 Dec",
    b"29 Feb",
    b"GMT",
    b"\n",
    b" ",
    b"-1",
    b"60",
    b"Mon, ",
    b"Monday, ",
];

pub(crate) const ADDRESSES: &[&[u8]] = &[
    b"crm.example.com",
    b"https://crm.example.com:8443/objects/people?a=b#c",
    b"http://127.0.0.1:3000",
    b"localhost:3000",
    b"http://[::1]:3000/",
    b"https://xn--bcher-kva.example",
    "https://bücher.example/ä".as_bytes(),
    b"192.168.8.8",
    b"https://ada:secret@crm.example.com",
];

pub(crate) const URLS: &[&[u8]] = &[
    b"http://",
    b"https://",
    b"://",
    b":",
    b"/",
    b"@",
    b"[",
    b"]",
    b"[::ffff:127.0.0.1]",
    b"0x7f.1",
    b"%2e",
    b"%00",
    b"\\",
    b"..",
    b"xn--",
    b".localhost",
    b"\t",
    b"\n",
    b"?",
    b"#",
    "ä".as_bytes(),
    "\u{ff0e}".as_bytes(),
    "\u{ad}".as_bytes(),
];

pub(crate) const CERTIFICATES: &[&[u8]] = &[
    b"-----BEGIN CERTIFICATE-----\nMIIBdDCCARmgAwIBAgIUJ5p5\n-----END CERTIFICATE-----\n",
    b"text\n-----BEGIN CERTIFICATE-----\r\nAAAA\r\nAAAA\r\n-----END CERTIFICATE-----\r\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
];

pub(crate) const PEM: &[&[u8]] = &[
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----END CERTIFICATE-----\n",
    b"-----",
    b"\n",
    b"AAAA",
    b"=",
    b"BEGIN ",
    b"MII",
];
