//! `aws:iam/OidcProvider`: an issuer of identities, such as a cluster's, that roles may trust.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use plinth_provider::fields::{ANY, Field, Shape, TAGS};
use plinth_provider::{Applied, Class, Error, Live, Recorded, Result, Value};

use super::iam_role::{tag_list, tag_map};
use super::{Call, Handler, Spec, There, text, texts};
use crate::error::{failed, is_missing, refused};
use crate::marks::{self, Owner};

/// The kind.
pub(crate) struct OidcProvider;

const SPEC: Spec = Spec {
    name: "aws:iam/OidcProvider",
    fields: &[
        Field::required("url", Shape::Text(url)).immutable(),
        Field::default("clientIds", Shape::Set(&ANY), || Value::List(vec!["sts.amazonaws.com".into()])),
        // Fetched by IAM itself where they are left out; then they are its own affair.
        Field::optional("thumbprints", Shape::Set(&Shape::Text(thumbprint))),
        Field::optional("tags", TAGS),
    ],
    longest_name: None,
    delete_before_replace: false,
    usual: Duration::from_secs(2),
    timeout: Duration::from_secs(300),
    computed: &[],
};

fn url(url: &str) -> std::result::Result<(), String> {
    (url.starts_with("https://") && url.len() <= 255 && !url.ends_with('/'))
        .then_some(())
        .ok_or_else(|| "an issuer's address begins with https:// and does not end with /".to_owned())
}

fn thumbprint(text: &str) -> std::result::Result<(), String> {
    (text.len() == 40 && text.chars().all(|digit| digit.is_ascii_hexdigit()))
        .then_some(())
        .ok_or_else(|| "a thumbprint has 40 hexadecimal digits".to_owned())
}

/// The issuer as trust policies name it.
fn issuer(url: &str) -> &str {
    url.trim_start_matches("https://")
}

fn arn(call: &Call<'_>) -> Result<String> {
    let identity = &call.aws.identity;
    let issuer = issuer(text(call.inputs, "url")?);
    Ok(format!("arn:{}:iam::{}:oidc-provider/{issuer}", identity.partition, identity.account))
}

fn outputs(arn: &str, url: &str) -> Value {
    Value::from([("arn", arn), ("issuer", issuer(url))])
}

async fn live(call: &Call<'_>, arn: &str) -> Result<Option<(Live, BTreeMap<String, String>)>> {
    let got = match call.aws.iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn).send().await
    {
        Ok(got) => got,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(refused("iam:GetOpenIDConnectProvider", arn, error)),
    };
    // IAM gives the address back without its scheme.
    let url = format!("https://{}", issuer(got.url().unwrap_or_default()));
    let tags = tag_map(got.tags());
    let list = |texts: &[String]| Value::List(texts.iter().map(|text| text.as_str().into()).collect());
    let mut inputs =
        Value::from([("url", Value::from(url.as_str())), ("clientIds", list(got.client_id_list()))]);
    if call.inputs.get("thumbprints").is_some() {
        inputs.set(&"thumbprints".into(), list(got.thumbprint_list()));
    }
    if call.inputs.get("tags").is_some() {
        inputs.set(&"tags".into(), marks::foreign(tags.clone()));
    }
    let live =
        Live { id: arn.to_owned(), outputs: outputs(arn, &url), inputs, details: serde_json::Value::Null };
    Ok(Some((live, tags)))
}

#[async_trait]
impl Handler for OidcProvider {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn identity(&self, inputs: &Value) -> Option<String> {
        Some(format!("{}/{}", SPEC.name, issuer(inputs.text_at("url")?)))
    }

    async fn create(&self, call: &Call<'_>) -> Result<Applied> {
        let url = text(call.inputs, "url")?;
        let thumbprints = texts(call.inputs, "thumbprints");
        let made = call
            .aws
            .iam
            .create_open_id_connect_provider()
            .url(url)
            .set_client_id_list(Some(texts(call.inputs, "clientIds")))
            .set_thumbprint_list((!thumbprints.is_empty()).then_some(thumbprints))
            .set_tags(Some(tag_list(&marks::tags(call.urn, call.inputs))?))
            .send()
            .await
            .map_err(|error| failed("iam:CreateOpenIDConnectProvider", url, error))?;
        let arn = match made.open_id_connect_provider_arn() {
            Some(arn) => arn.to_owned(),
            None => arn(call)?,
        };
        Ok(Applied { outputs: outputs(&arn, url), id: arn })
    }

    async fn read(&self, call: &Call<'_>, id: &str) -> Result<Option<Live>> {
        Ok(live(call, id).await?.map(|(live, _)| live))
    }

    async fn update(&self, call: &Call<'_>, recorded: &Recorded) -> Result<Applied> {
        let iam = &call.aws.iam;
        let arn = &recorded.id;
        let Some((there, tags)) = live(call, arn).await? else {
            return Err(Error::new(Class::NotFound, format!("the identity provider {arn} is gone")));
        };
        let (had, wanted) = (texts(&there.inputs, "clientIds"), texts(call.inputs, "clientIds"));
        for client in wanted.iter().filter(|client| !had.contains(client)) {
            iam.add_client_id_to_open_id_connect_provider()
                .open_id_connect_provider_arn(arn)
                .client_id(client)
                .send()
                .await
                .map_err(|error| failed("iam:AddClientIDToOpenIDConnectProvider", arn, error))?;
        }
        for client in had.iter().filter(|client| !wanted.contains(client)) {
            iam.remove_client_id_from_open_id_connect_provider()
                .open_id_connect_provider_arn(arn)
                .client_id(client)
                .send()
                .await
                .map_err(|error| failed("iam:RemoveClientIDFromOpenIDConnectProvider", arn, error))?;
        }
        let sorted = |mut list: Vec<String>| {
            list.sort_unstable();
            list
        };
        let wanted = sorted(texts(call.inputs, "thumbprints"));
        if !wanted.is_empty() && wanted != sorted(texts(&there.inputs, "thumbprints")) {
            iam.update_open_id_connect_provider_thumbprint()
                .open_id_connect_provider_arn(arn)
                .set_thumbprint_list(Some(wanted))
                .send()
                .await
                .map_err(|error| failed("iam:UpdateOpenIDConnectProviderThumbprint", arn, error))?;
        }
        let put = async |set| {
            let put = iam.tag_open_id_connect_provider().open_id_connect_provider_arn(arn);
            let put = put.set_tags(Some(tag_list(&set)?)).send().await;
            put.map(drop).map_err(|error| failed("iam:TagOpenIDConnectProvider", arn, error))
        };
        let remove = async |gone| {
            let removed = iam.untag_open_id_connect_provider().open_id_connect_provider_arn(arn);
            let removed = removed.set_tag_keys(Some(gone)).send().await;
            removed.map(drop).map_err(|error| failed("iam:UntagOpenIDConnectProvider", arn, error))
        };
        marks::settle(call, &tags, put, remove).await?;
        Ok(Applied { id: there.id, outputs: there.outputs })
    }

    async fn delete(&self, call: &Call<'_>, recorded: &Recorded) -> Result<()> {
        let arn = &recorded.id;
        let gone =
            call.aws.iam.delete_open_id_connect_provider().open_id_connect_provider_arn(arn).send().await;
        match gone {
            Err(error) if !is_missing(&error) => Err(failed("iam:DeleteOpenIDConnectProvider", arn, error)),
            _ => Ok(()),
        }
    }

    async fn there(&self, call: &Call<'_>) -> Result<Option<There>> {
        let there = live(call, &arn(call)?).await?;
        Ok(there.map(|(live, tags)| There { live, tags }))
    }

    async fn find(&self, call: &Call<'_>) -> Result<Option<Live>> {
        let Some((live, tags)) = live(call, &arn(call)?).await? else { return Ok(None) };
        Ok((marks::owner(call.urn, &tags) == Owner::Ours).then_some(live))
    }
}
