//! What happens when. It depends on the seed alone, so `SEED=…` repeats it. How the processes react depends on the
//! machine, and is not repeated.

use std::time::Duration;

use graphql_session_testing::{Alpn, ConnectionFault, Fault, ServerCertificate};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Accounts on the machine, each with a person of its own at the server.
pub(crate) const ACCOUNTS: usize = 4;

/// Processes per account.
pub(crate) const PROCESSES: usize = 3;

/// Mean pause between two steps, in ms: some twenty calls a second, which two cores carry.
const PAUSE: u64 = 40;

/// Steps per round; a round is followed by a calm.
const ROUND: usize = 750;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(crate) enum Injection {
    /// Calls in one process, all at once.
    Calls {
        process: usize,
        count: usize,
        kind: Kind,
    },
    /// The server refuses the account's access tokens from now on.
    Expire {
        account: usize,
    },
    /// The next renewals meet these faults.
    Renewals(Vec<Fault>),
    /// The next call meets this fault.
    Call(Fault),
    /// The next request of a sign-in meets this fault.
    SignInStep(Fault),
    /// Every renewal, or every renewal and every call, meets a fault for this many ms.
    Outage {
        fault: Fault,
        calls: bool,
        ms: u64,
    },
    /// The server is not there for so many ms.
    ServerAway {
        ms: u64,
    },
    /// The server revokes the account's tokens.
    Revoke {
        account: usize,
    },
    SignOut {
        process: usize,
    },
    /// If nobody is signed in; with `anew` in any case.
    SignIn {
        process: usize,
        anew: bool,
    },
    /// `kill -9`; started again after so many ms.
    Kill {
        process: usize,
        ms: u64,
    },
    /// Stopped with SIGSTOP, and continued after this many ms.
    Freeze {
        process: usize,
        ms: u64,
    },
    /// A process cannot write to its disk as it should, for so many ms.
    Disk {
        process: usize,
        trouble: DiskTrouble,
        ms: u64,
    },
    /// A process hears that the system's network has changed.
    NetworkChange {
        process: usize,
    },
    /// Connections that are opened meet another certificate or another HTTP, for so many ms.
    Tls {
        certificate: ServerCertificate,
        alpn: Alpn,
        ms: u64,
    },
    /// The next connection breaks before a request is read from it.
    Connection(ConnectionFault),
    /// Something happens to the keyring service, for so many ms.
    Keyring {
        trouble: KeyringTrouble,
        ms: u64,
    },
}

/// What kind of call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Query,
    Mutation,
    /// A query whose window goes away after so many ms.
    Leaving(u64),
}

/// What happens to the files of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DiskTrouble {
    /// Nothing can be written.
    Full,
    /// The ends of files are cut off after so many bytes.
    Tears(usize),
    /// Appends do not return.
    Slow,
}

/// What happens to the keyring service.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyringTrouble {
    Killed,
    Frozen,
    Locked,
}

/// The faults for renewals and calls.
const ANYWHERE: [fn() -> Fault; 20] = [
    || Fault::status(408),
    || Fault::status(500),
    || Fault::status(502),
    || Fault::status(503),
    || Fault::status(504),
    // 1 s: long enough to see that it is kept, short enough for a round.
    || Fault::retry_after(429, "1"),
    || Fault::retry_after(503, "1"),
    || Fault::html(200),
    || Fault::html(511),
    || Fault::redirect("https://login.example.com/"),
    Fault::empty,
    Fault::not_json,
    || Fault::refuse("INTERNAL_SERVER_ERROR", "", "Internal error"),
    || Fault::refuse("BAD_USER_INPUT", "", "Limit reached. Try again."),
    || Fault::Reset,
    || Fault::Close,
    || Fault::Stall,
    // Half of a call's answer, and the beginning of a token pair.
    || Fault::Truncate(20),
    || Fault::ResetInBody,
    || Fault::StallInBody,
];

/// The faults for renewals only.
const RENEWALS_ONLY: [fn() -> Fault; 7] = [
    Fault::rotate_then_drop,
    Fault::rotate_then_drop,
    || Fault::after_acting(Fault::Stall),
    || Fault::after_acting(Fault::status(502)),
    || Fault::after_acting(Fault::status(500)),
    || Fault::WithoutRefreshToken,
    Fault::json_without_tokens,
];

/// What the server speaks for a while in place of HTTP/2 with its certificate.
const TLS: [(ServerCertificate, Alpn); 5] = [
    (ServerCertificate::Good, Alpn::Http1),
    (ServerCertificate::Good, Alpn::Unknown),
    (ServerCertificate::Untrusted, Alpn::Http2),
    (ServerCertificate::Expired, Alpn::Http2),
    (ServerCertificate::OtherName, Alpn::Http2),
];

/// How a connection breaks before the server reads a request from it.
const CONNECTIONS: [ConnectionFault; 5] = [
    ConnectionFault::HangUp,
    ConnectionFault::HangUpInHandshake,
    ConnectionFault::RefuseHandshake,
    ConnectionFault::Stall,
    ConnectionFault::GoAway,
];

/// The plan of a whole run, round by round.
pub(crate) struct Plan {
    random: StdRng,
}

impl Plan {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The steps of the next round, each with the pause before it.
    pub(crate) fn round(&mut self) -> Vec<(Duration, Injection)> {
        (0..ROUND)
            .map(|_| {
                let pause = self.random.random_range(0..2 * PAUSE);
                (Duration::from_millis(pause), self.injection())
            })
            .collect()
    }

    /// The process of an account in which the person signs in.
    pub(crate) fn anybody(&mut self, account: usize) -> usize {
        account * PROCESSES + self.random.random_range(0..PROCESSES)
    }

    fn injection(&mut self) -> Injection {
        let account = self.random.random_range(0..ACCOUNTS);
        let process = self.anybody(account);
        // Out of about a thousand steps.
        match self.random.random_range(0..1018) {
            0..680 => Injection::Calls {
                process,
                count: 1,
                kind: self.kind(),
            },
            680..740 => Injection::Calls {
                process,
                count: self.random.random_range(5..40),
                kind: self.kind(),
            },
            740..790 => Injection::Expire { account },
            790..850 => {
                let count = self.random.random_range(1..4);
                Injection::Renewals((0..count).map(|_| self.renewal_fault()).collect())
            }
            850..910 => Injection::Call(self.call_fault()),
            910..918 => Injection::SignInStep(self.anywhere()),
            918..922 => Injection::Outage {
                fault: self.renewal_fault(),
                calls: self.random.random(),
                ms: self.ms(500, 9_000),
            },
            922..925 => Injection::ServerAway {
                ms: self.ms(200, 8_000),
            },
            925..929 => Injection::Revoke { account },
            929..933 => Injection::SignOut { process },
            933..973 => Injection::SignIn {
                process,
                anew: self.random.random_range(0..12) == 0,
            },
            973..985 => Injection::Kill {
                process,
                ms: self.ms(0, 2_000),
            },
            985..995 => Injection::Freeze {
                process,
                ms: self.ms(100, 9_000),
            },
            1000..1005 => Injection::Disk {
                process,
                trouble: match self.random.random_range(0..3) {
                    0 => DiskTrouble::Full,
                    // Less than the shortest record of an ending: a whole one would be read.
                    1 => DiskTrouble::Tears(self.random.random_range(1..40)),
                    _ => DiskTrouble::Slow,
                },
                ms: self.ms(300, 6_000),
            },
            1005..1011 => Injection::NetworkChange { process },
            1011..1014 => {
                let (certificate, alpn) = TLS[self.random.random_range(0..TLS.len())];
                Injection::Tls {
                    certificate,
                    alpn,
                    ms: self.ms(300, 6_000),
                }
            }
            1014..1018 => {
                let fault = CONNECTIONS[self.random.random_range(0..CONNECTIONS.len())];
                Injection::Connection(fault)
            }
            _ => Injection::Keyring {
                trouble: [
                    KeyringTrouble::Killed,
                    KeyringTrouble::Frozen,
                    KeyringTrouble::Locked,
                ][self.random.random_range(0..3)],
                ms: self.ms(300, 6_000),
            },
        }
    }

    fn kind(&mut self) -> Kind {
        match self.random.random_range(0..10) {
            0..5 => Kind::Query,
            5..8 => Kind::Mutation,
            _ => Kind::Leaving(self.random.random_range(0..1_500)),
        }
    }

    fn anywhere(&mut self) -> Fault {
        ANYWHERE[self.random.random_range(0..ANYWHERE.len())]()
    }

    fn renewal_fault(&mut self) -> Fault {
        if self.random.random() {
            RENEWALS_ONLY[self.random.random_range(0..RENEWALS_ONLY.len())]()
        } else {
            self.anywhere()
        }
    }

    fn call_fault(&mut self) -> Fault {
        match self.random.random_range(0..10) {
            0..3 => Fault::access_refused(),
            // The server acts, and its answer is lost.
            3..5 => Fault::rotate_then_drop(),
            _ => self.anywhere(),
        }
    }

    /// Short ones are more frequent than long ones.
    fn ms(&mut self, least: u64, most: u64) -> u64 {
        let most = self.random.random_range(least + 1..=most);
        self.random.random_range(least..most)
    }
}
