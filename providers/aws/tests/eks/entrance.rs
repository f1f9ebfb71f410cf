//! The way into a cluster: its own address and authority, and a token that is signed here.

use std::sync::Arc;

use plinth_aws::{Aws, cluster_of};
use plinth_emulators::{Eks, EksDoor};
use plinth_kubernetes::{Tokens, client_at};
use plinth_local::kube::{ApiServer, Options};
use plinth_provider::{Class, Result};

use super::support::World;

struct Signed {
    aws: Aws,
    cluster: &'static str,
}

#[async_trait::async_trait]
impl Tokens for Signed {
    async fn token(&self) -> Result<String> {
        self.aws.token(self.cluster).await
    }
}

#[tokio::test]
async fn a_cluster_is_entered_by_its_address_and_a_token_of_its_own() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kubernetes = ApiServer::in_memory(Options::default()).serve(listener).unwrap();
    let door = EksDoor::before(&kubernetes.url(), "", "dev-main", "test");
    let eks = Eks::new();
    eks.kubernetes(&door.url(), &door.authority());
    let world = World::new(&eks.url()).await;
    let missing = world.aws.address("dev-main").await.unwrap_err();
    assert_eq!(missing.class, Class::NotFound);

    let cluster = world.cluster("1.35").await;
    let name = cluster_of(cluster.outputs.text_at("connection").unwrap()).unwrap();
    let address = world.aws.address(name).await.unwrap();
    let enter = async |cluster: &'static str| {
        let tokens = Arc::new(Signed { aws: world.aws.clone(), cluster });
        let client = client_at(&address.server, &address.authority, tokens).await.unwrap();
        client.apiserver_version().await
    };
    assert_eq!(enter("dev-main").await.unwrap().major, "1");
    enter("dev-main").await.unwrap();
    assert_eq!(door.tokens(), 1, "a token is kept for as long as it is good");
    let refused = enter("other").await.unwrap_err();
    assert!(refused.to_string().contains("Unauthorized"), "a token is for one cluster: {refused}");
}
