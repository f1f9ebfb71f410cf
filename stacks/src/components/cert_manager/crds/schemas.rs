//! The schemas of specifications and statuses.

use serde_json::{Value as Json, json};

use super::{anything, boolean, bytes, date, integer, list, map_of_texts, object, one_of, text};

fn issuer_reference() -> Json {
    object(&["name"], json!({ "name": text(), "kind": text(), "group": text() }))
}

/// A key of a Secret.
fn secret_key() -> Json {
    object(&["name"], json!({ "name": text(), "key": text() }))
}

fn conditions() -> Json {
    json!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": object(
            &["status", "type"],
            json!({
                "type": text(),
                "status": one_of(&["True", "False", "Unknown"]),
                "reason": text(),
                "message": text(),
                "lastTransitionTime": date(),
                "observedGeneration": { "type": "integer", "format": "int64" },
            }),
        ),
    })
}

fn usages() -> Json {
    list(one_of(&[
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "key agreement",
        "data encipherment",
        "cert sign",
        "crl sign",
        "encipher only",
        "decipher only",
        "any",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
        "s/mime",
        "ipsec end system",
        "ipsec tunnel",
        "ipsec user",
        "timestamping",
        "ocsp signing",
        "microsoft sgc",
        "netscape sgc",
    ]))
}

fn names_within() -> Json {
    object(
        &[],
        json!({
            "dnsDomains": list(text()),
            "emailAddresses": list(text()),
            "ipRanges": list(text()),
            "uriDomains": list(text()),
        }),
    )
}

pub(super) fn certificate() -> Json {
    object(
        &["issuerRef", "secretName"],
        json!({
            "additionalOutputFormats": list(object(&["type"], json!({ "type": one_of(&["DER", "CombinedPEM"]) }))),
            "commonName": text(),
            "dnsNames": list(text()),
            "duration": text(),
            "emailAddresses": list(text()),
            "encodeUsagesInRequest": boolean(),
            "ipAddresses": list(text()),
            "isCA": boolean(),
            "issuerRef": issuer_reference(),
            "keystores": object(&[], json!({
                "jks": object(&["create"], json!({
                    "alias": text(), "create": boolean(), "password": text(), "passwordSecretRef": secret_key(),
                })),
                "pkcs12": object(&["create"], json!({
                    "create": boolean(),
                    "password": text(),
                    "passwordSecretRef": secret_key(),
                    "profile": one_of(&["LegacyRC2", "LegacyDES", "Modern2023"]),
                })),
            })),
            "literalSubject": text(),
            "nameConstraints": object(&[], json!({
                "critical": boolean(), "excluded": names_within(), "permitted": names_within(),
            })),
            "otherNames": list(object(&[], json!({ "oid": text(), "utf8Value": text() }))),
            "privateKey": object(&[], json!({
                "algorithm": one_of(&["RSA", "ECDSA", "Ed25519"]),
                "encoding": one_of(&["PKCS1", "PKCS8"]),
                "rotationPolicy": one_of(&["Never", "Always"]),
                "size": integer(),
            })),
            "renewBefore": text(),
            "renewBeforePercentage": integer(),
            "renewal": anything(),
            "revisionHistoryLimit": integer(),
            "secretName": text(),
            "secretTemplate": object(&[], json!({ "annotations": map_of_texts(), "labels": map_of_texts() })),
            "signatureAlgorithm": one_of(&[
                "SHA256WithRSA", "SHA384WithRSA", "SHA512WithRSA",
                "ECDSAWithSHA256", "ECDSAWithSHA384", "ECDSAWithSHA512", "PureEd25519",
            ]),
            "subject": object(&[], json!({
                "countries": list(text()),
                "localities": list(text()),
                "organizationalUnits": list(text()),
                "organizations": list(text()),
                "postalCodes": list(text()),
                "provinces": list(text()),
                "serialNumber": text(),
                "streetAddresses": list(text()),
            })),
            "uris": list(text()),
            "usages": usages(),
        }),
    )
}

pub(super) fn certificate_status() -> Json {
    object(
        &[],
        json!({
            "conditions": conditions(),
            "failedIssuanceAttempts": integer(),
            "lastFailureTime": date(),
            "nextPrivateKeySecretName": text(),
            "notAfter": date(),
            "notBefore": date(),
            "renewalTime": date(),
            "revision": integer(),
        }),
    )
}

pub(super) fn request() -> Json {
    object(
        &["issuerRef", "request"],
        json!({
            "duration": text(),
            "extra": { "type": "object", "additionalProperties": list(text()) },
            "groups": list(text()),
            "isCA": boolean(),
            "issuerRef": issuer_reference(),
            "request": bytes(),
            "uid": text(),
            "usages": usages(),
            "username": text(),
        }),
    )
}

pub(super) fn request_status() -> Json {
    object(
        &[],
        json!({
            "ca": bytes(),
            "certificate": bytes(),
            "conditions": conditions(),
            "failureTime": date(),
        }),
    )
}

pub(super) fn issuer() -> Json {
    object(
        &[],
        json!({
            "acme": object(&["privateKeySecretRef", "server"], json!({
                "caBundle": bytes(),
                "disableAccountKeyGeneration": boolean(),
                "email": text(),
                "enableDurationFeature": boolean(),
                "externalAccountBinding": object(&["keyID", "keySecretRef"], json!({
                    "keyAlgorithm": one_of(&["HS256", "HS384", "HS512"]),
                    "keyID": text(),
                    "keySecretRef": secret_key(),
                })),
                "preferredChain": text(),
                "privateKeySecretRef": secret_key(),
                "profile": text(),
                "server": text(),
                "skipTLSVerify": boolean(),
                "solvers": list(solver()),
            })),
            "ca": object(&["secretName"], json!({
                "crlDistributionPoints": list(text()),
                "issuingCertificateURLs": list(text()),
                "ocspServers": list(text()),
                "secretName": text(),
            })),
            "selfSigned": object(&[], json!({ "crlDistributionPoints": list(text()) })),
            "vault": anything(),
            "venafi": anything(),
        }),
    )
}

pub(super) fn issuer_status() -> Json {
    object(
        &[],
        json!({
            "acme": object(&[], json!({
                "lastPrivateKeyHash": text(), "lastRegisteredEmail": text(), "uri": text(),
            })),
            "conditions": conditions(),
        }),
    )
}

fn solver() -> Json {
    let service_account = object(&["name"], json!({ "name": text(), "audiences": list(text()) }));
    object(
        &[],
        json!({
            "selector": object(&[], json!({
                "dnsNames": list(text()), "dnsZones": list(text()), "matchLabels": map_of_texts(),
            })),
            "http01": object(&[], json!({
                "ingress": object(&[], json!({
                    "class": text(),
                    "ingressClassName": text(),
                    "ingressTemplate": anything(),
                    "name": text(),
                    "podTemplate": anything(),
                    "serviceType": text(),
                })),
                "gatewayHTTPRoute": object(&[], json!({
                    "labels": map_of_texts(),
                    "parentRefs": list(anything()),
                    "podTemplate": anything(),
                    "serviceType": text(),
                })),
            })),
            "dns01": object(&[], json!({
                "acmeDNS": anything(),
                "akamai": anything(),
                "azureDNS": object(&["resourceGroupName", "subscriptionID"], json!({
                    "clientID": text(),
                    "clientSecretSecretRef": secret_key(),
                    "environment": text(),
                    "hostedZoneName": text(),
                    "managedIdentity": object(&[], json!({
                        "clientID": text(), "resourceID": text(), "tenantID": text(),
                    })),
                    "resourceGroupName": text(),
                    "subscriptionID": text(),
                    "tenantID": text(),
                    "zoneType": text(),
                })),
                "cloudDNS": object(&["project"], json!({
                    "hostedZoneName": text(), "project": text(), "serviceAccountSecretRef": secret_key(),
                })),
                "cloudflare": object(&[], json!({
                    "apiKeySecretRef": secret_key(), "apiTokenSecretRef": secret_key(), "email": text(),
                })),
                "cnameStrategy": one_of(&["None", "Follow"]),
                "digitalocean": anything(),
                "rfc2136": anything(),
                "route53": object(&[], json!({
                    "accessKeyID": text(),
                    "accessKeyIDSecretRef": secret_key(),
                    "auth": object(&["kubernetes"], json!({
                        "kubernetes": object(&["serviceAccountRef"], json!({ "serviceAccountRef": service_account })),
                    })),
                    "hostedZoneID": text(),
                    "region": text(),
                    "role": text(),
                    "secretAccessKeySecretRef": secret_key(),
                })),
                "webhook": anything(),
            })),
        }),
    )
}

pub(super) fn order() -> Json {
    object(
        &["issuerRef", "request"],
        json!({
            "commonName": text(),
            "dnsNames": list(text()),
            "duration": text(),
            "ipAddresses": list(text()),
            "issuerRef": issuer_reference(),
            "profile": text(),
            "request": bytes(),
        }),
    )
}

fn state() -> Json {
    one_of(&["", "valid", "ready", "pending", "processing", "invalid", "expired", "errored"])
}

pub(super) fn order_status() -> Json {
    let challenge =
        object(&["token", "type", "url"], json!({ "token": text(), "type": text(), "url": text() }));
    object(
        &[],
        json!({
            "authorizations": list(object(&["url"], json!({
                "challenges": list(challenge),
                "identifier": text(),
                "initialState": state(),
                "url": text(),
                "wildcard": boolean(),
            }))),
            "certificate": bytes(),
            "failureTime": date(),
            "finalizeURL": text(),
            "reason": text(),
            "state": state(),
            "url": text(),
        }),
    )
}

pub(super) fn challenge() -> Json {
    object(
        &["authorizationURL", "dnsName", "issuerRef", "key", "solver", "token", "type", "url"],
        json!({
            "authorizationURL": text(),
            "dnsName": text(),
            "issuerRef": issuer_reference(),
            "key": text(),
            "solver": solver(),
            "token": text(),
            "type": one_of(&["HTTP-01", "DNS-01"]),
            "url": text(),
            "wildcard": boolean(),
        }),
    )
}

pub(super) fn challenge_status() -> Json {
    object(
        &[],
        json!({ "presented": boolean(), "processing": boolean(), "reason": text(), "state": state() }),
    )
}
