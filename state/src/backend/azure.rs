//! `az://`: Azure Blob Storage.

use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};

use super::objects::{Advice, Judge, Objects, client_options, no_retries, verdict};
use super::options::Options;
use super::s3::check_endpoint;
use super::url::{Bucket, bad, unknown, without_secrets};
use crate::{Error, Result};

const PARAMETERS: [&str; 4] = ["account", "endpoint", "allow_http", "use_azure_cli"];

/// What the cloud's own environment may set, by the names that its tools use.
const SETTINGS: [(&str, AzureConfigKey); 15] = [
    ("azure_storage_account_key", AzureConfigKey::AccessKey),
    ("azure_storage_key", AzureConfigKey::AccessKey),
    ("azure_storage_access_key", AzureConfigKey::AccessKey),
    ("azure_storage_sas_token", AzureConfigKey::SasKey),
    ("azure_storage_sas_key", AzureConfigKey::SasKey),
    ("azure_storage_token", AzureConfigKey::Token),
    ("azure_client_id", AzureConfigKey::ClientId),
    ("azure_client_secret", AzureConfigKey::ClientSecret),
    ("azure_tenant_id", AzureConfigKey::AuthorityId),
    ("azure_authority_host", AzureConfigKey::AuthorityHost),
    ("azure_federated_token_file", AzureConfigKey::FederatedTokenFile),
    ("azure_object_id", AzureConfigKey::ObjectId),
    ("azure_msi_resource_id", AzureConfigKey::MsiResourceId),
    ("azure_msi_endpoint", AzureConfigKey::MsiEndpoint),
    ("azure_use_azure_cli", AzureConfigKey::UseAzureCli),
];

pub(super) fn open(url: &str, container: &Bucket, options: &Options) -> Result<Objects<Azure>> {
    let given =
        |name: &str| container.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    if let Some((name, _)) = container.query.iter().find(|(name, _)| !PARAMETERS.contains(&name.as_str())) {
        return Err(unknown(url, name, &PARAMETERS));
    }
    let account = given("account")
        .or_else(|| options.get(&["azure_storage_account_name", "azure_storage_account"]))
        .ok_or_else(|| {
            bad(url, "the storage account is not known: add ?account=…, or set AZURE_STORAGE_ACCOUNT")
        })?;
    let allow_http = given("allow_http") == Some("true");
    let mut builder = MicrosoftAzureBuilder::new()
        .with_client_options(client_options(allow_http))
        .with_retry(no_retries())
        .with_container_name(&container.name)
        .with_account(account);
    for (name, key) in SETTINGS {
        if let Some(value) = options.get(&[name]) {
            builder = builder.with_config(key, value);
        }
    }
    if given("use_azure_cli") == Some("true") {
        builder = builder.with_use_azure_cli(true);
    }
    if let Some(endpoint) = given("endpoint").or_else(|| options.get(&["azure_storage_endpoint"])) {
        check_endpoint(url, endpoint, allow_http)?;
        builder = builder.with_endpoint(endpoint.to_owned());
    }
    let store = builder.build().map_err(|error| bad(url, error.to_string()))?;
    Ok(Objects::new(
        store,
        &container.prefix,
        Azure { place: without_secrets(url), account: account.to_owned() },
    ))
}

#[derive(Debug)]
pub(super) struct Azure {
    place: String,
    account: String,
}

impl Judge for Azure {
    fn judge(&self, doing: &str, error: object_store::Error) -> Error {
        let advice = Advice {
            denied: format!(
                "give this identity the role Storage Blob Data Contributor on the container of {} (account {}); \
                 Owner and Contributor of the account do not include it",
                self.place, self.account
            ),
            credentials: "see which Azure credentials are in force: AZURE_STORAGE_KEY, AZURE_CLIENT_ID and their like, \
                          or sign in again (`az login`)",
            bucket: "make the container first, or correct its name: Plinth does not make the container that holds its state",
        };
        verdict(&self.place, doing, &error, advice)
    }
}
