eks = client("eks")
model = eks.meta.service_model
called, wrong = set(), []

TYPES = {
    "string": str, "boolean": bool, "integer": int, "long": int, "timestamp": (int, float),
    "list": list, "map": dict, "structure": dict, "double": (int, float), "float": (int, float),
}


def judge(shape, value, path):
    if value is None:
        return wrong.append(f"{path} is null")
    if not isinstance(value, TYPES[shape.type_name]) or (
        shape.type_name in ("integer", "long") and isinstance(value, bool)
    ):
        return wrong.append(f"{path} is {value!r} and no {shape.type_name}")
    if shape.type_name == "structure":
        for key in value.keys() - shape.members.keys():
            wrong.append(f"{path}.{key} is not in the model")
        for key in set(shape.required_members) - value.keys():
            wrong.append(f"{path}.{key} is missing")
        for key in value.keys() & shape.members.keys():
            judge(shape.members[key], value[key], f"{path}.{key}")
    elif shape.type_name == "list":
        for at, one in enumerate(value):
            judge(shape.member, one, f"{path}[{at}]")
    elif shape.type_name == "map":
        for key, one in value.items():
            judge(shape.value, one, f"{path}.{key}")
    elif shape.type_name == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        wrong.append(f"{path} is {value!r}, which is none of {shape.enum}")


def answered(model, response_dict, **_):
    called.add(model.name)
    body = response_dict["body"]
    if response_dict["status_code"] < 300:
        judge(model.output_shape, json.loads(body), model.name)
    else:
        code = response_dict["headers"]["x-amzn-errortype"]
        if code not in {shape.name for shape in model.error_shapes}:
            wrong.append(f"{model.name} does not fail with {code}")


eks.meta.events.register("before-parse.eks", lambda operation_model, response_dict, **_: answered(operation_model, response_dict))

ROLE = "arn:aws:iam::123456789012:role/eks"
NAME = {"clusterName": "main"}


def settled(update=None):
    time.sleep(0.05)
    return update


def fails(call, **inputs):
    try:
        call(**inputs)
    except botocore.exceptions.ClientError:
        return
    wrong.append(f"{call.__name__} does not fail")


on = {"enabled": True}
made = eks.create_cluster(
    name="main", version="1.34", roleArn=ROLE,
    resourcesVpcConfig={"subnetIds": ["subnet-a", "subnet-b"]},
    logging={"clusterLogging": [{"types": ["api"], "enabled": True}]},
    accessConfig={"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": False},
    bootstrapSelfManagedAddons=False, tags={"a": "b"}, zonalShiftConfig=on,
    computeConfig={"enabled": True, "nodePools": ["system"], "nodeRoleArn": ROLE},
    kubernetesNetworkConfig={"elasticLoadBalancing": on}, storageConfig={"blockStorage": on},
    remoteNetworkConfig={"remoteNodeNetworks": [{"cidrs": ["10.9.0.0/16"]}]},
    kubeApiServerConfig={"eventTtl": "2h", "serviceNodePortRange": {"minPort": 30000, "maxPort": 31000}},
)
arn = made["cluster"]["arn"]
fails(eks.describe_cluster, name="other")
settled()
eks.list_clusters()
eks.describe_cluster(name="main")
eks.describe_cluster_versions()
eks.tag_resource(resourceArn=arn, tags={"c": "d"})
eks.list_tags_for_resource(resourceArn=arn)
eks.untag_resource(resourceArn=arn, tagKeys=["c"])
fails(eks.update_cluster_config, name="main", deletionProtection=True, zonalShiftConfig=on)
fails(eks.update_cluster_config, name="main", computeConfig={"enabled": False})
update = eks.update_cluster_config(name="main", deletionProtection=True)["update"]["id"]
fails(eks.update_cluster_config, name="main", deletionProtection=False)
eks.describe_update(name="main", updateId=update)
eks.list_updates(name="main")
settled()
fails(eks.delete_cluster, name="main")
settled(eks.update_cluster_config(name="main", deletionProtection=False))
off = {"enabled": False}
settled(eks.update_cluster_config(
    name="main", computeConfig=off, kubernetesNetworkConfig={"elasticLoadBalancing": off},
    storageConfig={"blockStorage": off},
))
settled(eks.update_cluster_config(name="main", kubeSchedulerConfig={
    "nodeResourcesFit": {"scoringStrategy": {"type": "MostAllocated"}}}))
settled(eks.associate_encryption_config(**NAME, encryptionConfig=[
    {"resources": ["secrets"], "provider": {"keyArn": "arn:aws:kms:eu-central-1:123456789012:key/1"}}]))
eks.describe_addon_versions(addonName="coredns", kubernetesVersion="1.34")
eks.create_addon(**NAME, addonName="coredns", addonVersion="v1.34.1-eksbuild.3", podIdentityAssociations=[
    {"serviceAccount": "dns", "roleArn": ROLE}])
fails(eks.create_addon, **NAME, addonName="coredns")
settled()
eks.describe_addon(**NAME, addonName="coredns")
eks.list_addons(**NAME)
settled(eks.update_addon(**NAME, addonName="coredns", configurationValues="{}"))
group = {**NAME, "nodegroupName": "general"}
eks.create_nodegroup(
    **group, nodeRole=ROLE, subnets=["subnet-a"], scalingConfig={"minSize": 1, "maxSize": 2, "desiredSize": 1},
    labels={"a": "b"}, taints=[{"key": "a", "effect": "NO_SCHEDULE"}], nodeRepairConfig=on,
    warmPoolConfig={"enabled": True, "minSize": 1},
)
settled()
eks.describe_nodegroup(**group)
eks.list_nodegroups(**NAME)
settled(eks.update_nodegroup_config(**group, labels={"removeLabels": ["a"]}))
fails(eks.update_nodegroup_version, **group, version="1.36")
settled(eks.start_insights_refresh(**NAME))
eks.describe_insights_refresh(**NAME)
insight = eks.list_insights(**NAME)["insights"][0]["id"]
eks.describe_insight(**NAME, id=insight)
settled(eks.update_cluster_version(name="main", version="1.35"))
settled(eks.update_nodegroup_version(**group, version="1.35"))
people = {**NAME, "principalArn": ROLE}
eks.create_access_entry(**people, kubernetesGroups=["viewers"])
fails(eks.create_access_entry, **people)
eks.describe_access_entry(**people)
eks.list_access_entries(**NAME)
eks.update_access_entry(**people, kubernetesGroups=[])
policy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
eks.associate_access_policy(**people, policyArn=policy, accessScope={"type": "namespace", "namespaces": ["loki"]})
eks.list_associated_access_policies(**people)
eks.disassociate_access_policy(**people, policyArn=policy)
eks.delete_access_entry(**people)
pods = eks.create_pod_identity_association(**NAME, namespace="loki", serviceAccount="loki", roleArn=ROLE)
pods = {**NAME, "associationId": pods["association"]["associationId"]}
eks.describe_pod_identity_association(**pods)
eks.list_pod_identity_associations(**NAME)
eks.update_pod_identity_association(**pods, roleArn=ROLE)
eks.delete_pod_identity_association(**pods)
fails(eks.delete_cluster, name="main")
eks.delete_addon(**NAME, addonName="coredns")
settled(eks.delete_nodegroup(**group))
eks.delete_cluster(name="main")
settled()
fails(eks.describe_cluster, name="main")

if wrong:
    sys.exit("\n".join(wrong))
print(*sorted(called))
