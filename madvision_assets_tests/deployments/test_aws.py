"""Claims about ``deployments/aws``: the stacks that its templates make are what the guide says."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import product
from typing import Any
from urllib.parse import unquote_plus

import pytest
from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]

from madvision_assets.defs.compute import GPU_NODE_LABEL, GPU_RESOURCES, GPU_TAINT
from madvision_assets.settings import Settings, variable_names
from madvision_assets_tests.deployments.cloudformation import ACCOUNT, FOLDER, GUIDE, REGION, TEMPLATES, Aws, account

pytestmark = pytest.mark.whole

SYSTEM = "madvision"
OFFICE = "198.51.100.0/24"
ADMIN = f"arn:aws:iam::{ACCOUNT}:role/admin"
BUCKETS = ("backup", "logs", "store", "uploads")
ROLES = ("step", "run", "daemon", "code-server", "webserver", "intake", "consumer", "backup")
# Read by the deployments' own parts, not by our settings.
OTHER_VARIABLES = {"BACKUP_URL", "DAGSTER_PG_HOST", "MADVISION_LOG_BUCKET"}


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """An account with all five stacks, deployed in the order of the guide."""
    with account() as empty:
        empty.deploy(FOLDER / "network.yaml", SYSTEM, PrivateEndpoints="true")
        empty.deploy(FOLDER / "data.yaml", SYSTEM, MediaColdAfterDays="90")
        empty.deploy(FOLDER / "cluster.yaml", SYSTEM, AdminArn=ADMIN, ApiCidrs=OFFICE, GpuNodesMax="3")
        empty.deploy(FOLDER / "access.yaml", SYSTEM, OidcIssuer=empty.outputs["OidcIssuer"])
        empty.deploy(FOLDER / "alarms.yaml", SYSTEM, AlarmEmail="operators@example.org")
        yield empty


# --- What the guide and the overlay say


def test_the_guide_says_where_outputs_go(aws: Aws) -> None:
    rows = re.findall(r"^ *\| `(\w+)` \| (\w+) \| `([^`]+)`", GUIDE, re.MULTILINE)
    described = {
        (output, template.stem, each["Description"].split(",")[0])
        for template in TEMPLATES
        for output, each in load(template)["Outputs"].items()
    }
    variables = {row for row in rows if row[2].isupper()}
    assert variables <= described
    assert {variable for _, _, variable in variables} <= {*variable_names(), *OTHER_VARIABLES}
    assert {output for output, _, _ in rows} <= aws.outputs.keys()


def test_the_overlay_speaks_of_what_the_stacks_make(aws: Aws) -> None:
    texts = [path.read_text() for path in (FOLDER.parent / "kubernetes" / "overlays" / "aws").glob("*.yaml")]
    overlay = "".join(texts).replace("111122223333", ACCOUNT)
    roles = {each["Arn"] for each in aws.iam.list_roles()["Roles"]}
    named = set(re.findall(r"role-arn: (\S+)", overlay))
    assert named == {f"{aws.outputs['RolePrefix']}{role}" for role in ROLES}
    assert named <= roles
    for output in ("StoreUrl", "LogBucketName", "BackupUrl", "InboxUrl"):
        assert re.search(rf"[= ]{re.escape(aws.outputs[output])}\n", overlay), output
    assert set(re.findall(r"newName: (\S+)", overlay)) == {
        f"{aws.outputs['Registry']}/{image}" for image in ("pipeline", "gpu", "intake")
    }


# --- Storage


@pytest.mark.parametrize("bucket", BUCKETS)
def test_every_bucket_is_private_encrypted_and_spoken_to_over_tls_only(aws: Aws, bucket: str) -> None:
    name = _bucket(bucket)
    (rule,) = aws.s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert all(aws.s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
    (statement,) = json.loads(aws.s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize(
    ("bucket", "status"), [("store", None), ("logs", None), ("backup", "Enabled"), ("uploads", "Enabled")]
)
def test_versions_are_kept_where_something_can_be_overwritten(aws: Aws, bucket: str, status: str | None) -> None:
    assert aws.s3.get_bucket_versioning(Bucket=_bucket(bucket)).get("Status") == status


def test_old_things_go_by_themselves_and_documents_and_backups_stay(aws: Aws) -> None:
    rules = {name: _lifecycle(aws, name) for name in BUCKETS}
    assert all(each["broken-off-writes"]["AbortIncompleteMultipartUpload"] for each in rules.values())
    expiring = {
        (bucket, rule["Filter"]["Prefix"], rule["Expiration"]["Days"])
        for bucket, each in rules.items()
        for rule in each.values()
        if "Days" in rule.get("Expiration", {})
    }
    assert expiring == {("logs", "", 30), ("uploads", "", 14), ("store", "store/check-", 1)}
    cold = rules["store"]["media-get-cold"]
    assert (cold["Status"], cold["Filter"]["Prefix"]) == ("Enabled", "store/media/")
    assert cold["Transitions"] == [{"Days": 90, "StorageClass": "GLACIER_IR"}]


def test_an_upload_arrives_in_the_inbox(aws: Aws) -> None:
    aws.s3.delete_bucket_policy(Bucket=aws.outputs["UploadsBucketName"])  # moto is spoken to without TLS
    aws.sqs.purge_queue(QueueUrl=aws.outputs["InboxUrl"])  # of S3's own test event
    aws.s3.put_object(Bucket=aws.outputs["UploadsBucketName"], Key="talks/one.mp4", Body=b"a talk")
    (message,) = aws.sqs.receive_message(QueueUrl=aws.outputs["InboxUrl"], WaitTimeSeconds=5)["Messages"]
    (record,) = json.loads(message["Body"])["Records"]
    assert record["s3"]["bucket"]["name"] == aws.outputs["UploadsBucketName"]
    assert unquote_plus(record["s3"]["object"]["key"]) == "talks/one.mp4"


def test_the_inbox_is_encrypted_and_gives_up_after_five_receives(aws: Aws) -> None:
    inbox, dead = (_queue(aws, aws.outputs[name]) for name in ("InboxUrl", "DeadLettersUrl"))
    assert json.loads(inbox["RedrivePolicy"]) == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 5}
    assert int(aws.outputs["InboxMaxReceives"]) == Settings.model_fields["inbox_max_receives"].default
    assert inbox["SqsManagedSseEnabled"] == dead["SqsManagedSseEnabled"] == "true"
    assert inbox["MessageRetentionPeriod"] == dead["MessageRetentionPeriod"] == str(14 * 24 * 3600)


def test_of_all_buckets_only_ours_for_uploads_may_send(aws: Aws) -> None:
    inbox = _queue(aws, aws.outputs["InboxUrl"])
    (sender,) = (each for each in json.loads(inbox["Policy"])["Statement"] if each["Effect"] == "Allow")
    assert sender["Principal"] == {"Service": "s3.amazonaws.com"}
    assert sender["Condition"] == {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{aws.outputs['UploadsBucketName']}"},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }


def test_the_database_is_encrypted_private_and_hard_to_lose(aws: Aws) -> None:
    (database,) = aws.rds.describe_db_instances(DBInstanceIdentifier=SYSTEM)["DBInstances"]
    assert (database["Engine"], database["EngineVersion"].split(".")[0]) == ("postgres", "17")
    assert (database["StorageEncrypted"], database["PubliclyAccessible"]) == (True, False)
    assert (database["DeletionProtection"], database["MultiAZ"]) == (True, True)
    assert database["BackupRetentionPeriod"] >= 7
    assert database["MasterUserSecret"]["SecretArn"] == aws.outputs["DatabaseMasterSecret"]
    (group,) = database["DBParameterGroups"]
    settings = aws.rds.describe_db_parameters(DBParameterGroupName=group["DBParameterGroupName"])["Parameters"]
    assert {each["ParameterName"]: each["ParameterValue"] for each in settings} == {"rds.force_ssl": "1"}


def test_only_the_cluster_reaches_the_database(aws: Aws) -> None:
    (group,) = aws.ec2.describe_security_groups(GroupIds=[aws.outputs["DatabaseAccess"]])["SecurityGroups"]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == (5432, 5432, [])
    (source,) = rule["UserIdGroupPairs"]
    (cluster,) = aws.ec2.describe_security_groups(GroupIds=[source["GroupId"]])["SecurityGroups"]
    assert cluster["GroupName"] == f"eks-cluster-sg-{SYSTEM}"


@pytest.mark.parametrize("image", ["pipeline", "gpu", "intake"])
def test_the_tag_of_an_image_means_one_image(aws: Aws, image: str) -> None:
    (repository,) = aws.ecr.describe_repositories(repositoryNames=[f"{SYSTEM}/{image}"])["repositories"]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert repository["imageScanningConfiguration"]["scanOnPush"]
    assert repository["repositoryUri"] == f"{aws.outputs['Registry']}/{image}"


# --- Network and cluster


def test_media_and_images_do_not_pass_the_nat_gateway(aws: Aws) -> None:
    subnets = set(aws.outputs["PrivateSubnetIds"].split(","))
    private = {
        table["RouteTableId"]
        for table in aws.ec2.describe_route_tables()["RouteTables"]
        if subnets & {each.get("SubnetId") for each in table["Associations"]}
    }
    endpoints = aws.ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [aws.outputs["VpcId"]]}])
    services = {
        (each["ServiceName"].removeprefix(f"com.amazonaws.{REGION}."), each["VpcEndpointType"]): each
        for each in endpoints["VpcEndpoints"]
    }
    inside = {(name, "Interface") for name in ("s3", "ecr.api", "ecr.dkr", "sts")}
    assert services.keys() == {("s3", "Gateway"), *inside}
    assert set(services["s3", "Gateway"]["RouteTableIds"]) == private
    # So names of S3 and STS lead to private addresses, which is all that the overlay lets stages reach.
    assert all(services[each]["PrivateDnsEnabled"] for each in inside)
    assert all(set(services[each]["SubnetIds"]) == subnets for each in inside)


def test_nodes_and_database_have_no_public_address(aws: Aws) -> None:
    private = aws.outputs["PrivateSubnetIds"].split(",")
    for subnet in aws.ec2.describe_subnets(SubnetIds=private)["Subnets"]:
        assert not subnet["MapPublicIpOnLaunch"]
    for pool in ("cpu", "gpu"):
        assert _nodes(aws, pool)["subnets"] == private
    (group,) = aws.rds.describe_db_subnet_groups()["DBSubnetGroups"]
    assert {each["SubnetIdentifier"] for each in group["Subnets"]} == set(private)


def test_the_gpu_pool_is_what_the_transcript_asks_for(aws: Aws) -> None:
    gpu, cpu = _nodes(aws, "gpu"), _nodes(aws, "cpu")
    assert gpu["labels"].items() >= GPU_NODE_LABEL.items()
    (taint,) = gpu["taints"]
    assert (taint["key"], taint["effect"]) == (GPU_TAINT["key"], "NO_SCHEDULE")
    assert (GPU_TAINT["operator"], GPU_TAINT["effect"]) == ("Exists", "NoSchedule")
    assert gpu["amiType"] == "AL2023_x86_64_NVIDIA"
    assert not cpu["labels"].keys() & GPU_NODE_LABEL.keys()
    assert not cpu["taints"]


def test_the_gpu_pool_is_spot_and_empty_until_it_is_asked_for(aws: Aws) -> None:
    gpu = _nodes(aws, "gpu")
    assert gpu["scalingConfig"] == {"minSize": 0, "desiredSize": 0, "maxSize": 3}
    assert gpu["capacityType"] == "SPOT"
    assert len(gpu["instanceTypes"]) > 1


def test_the_autoscaler_can_tell_what_a_node_of_the_empty_pool_would_be(aws: Aws) -> None:
    gpu = _nodes(aws, "gpu")
    (taint,) = gpu["taints"]
    templates = {
        **{f"label/{key}": value for key, value in GPU_NODE_LABEL.items()},
        **{f"resources/{key}": value for key, value in GPU_RESOURCES.items()},
        f"taint/{taint['key']}": f"{taint['value']}:{GPU_TAINT['effect']}",
    }
    assert gpu["tags"] == {f"k8s.io/cluster-autoscaler/node-template/{key}": each for key, each in templates.items()}


def test_pods_cannot_take_the_role_of_their_node(aws: Aws) -> None:
    template = _nodes(aws, "gpu")["launchTemplate"]["id"]
    (version,) = aws.ec2.describe_launch_template_versions(LaunchTemplateId=template)["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    assert (data["MetadataOptions"]["HttpTokens"], data["MetadataOptions"]["HttpPutResponseHopLimit"]) == (
        "required",
        1,
    )
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]
    assert {"Key": "project", "Value": SYSTEM} in data["TagSpecifications"][0]["Tags"]


def test_the_cluster_is_logged_and_its_api_not_open_to_all(aws: Aws) -> None:
    cluster = aws.eks.describe_cluster(name=aws.outputs["ClusterName"])["cluster"]
    (logging,) = cluster["logging"]["clusterLogging"]
    assert logging["enabled"]
    assert {"api", "audit", "authenticator"} <= set(logging["types"])
    assert cluster["resourcesVpcConfig"]["publicAccessCidrs"] == [OFFICE]
    (group,) = aws.logs.describe_log_groups(logGroupNamePrefix=f"/aws/eks/{SYSTEM}/")["logGroups"]
    assert group["retentionInDays"] == 30


# --- Roles


@pytest.mark.parametrize("role", [*ROLES, "cluster-autoscaler"])
def test_a_role_is_taken_by_its_service_account_and_nobody_else(aws: Aws, role: str) -> None:
    issuer = aws.outputs["OidcIssuer"]
    (provider,) = aws.iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    subject = "kube-system:cluster-autoscaler" if role == "cluster-autoscaler" else f"madvision:madvision-{role}"
    taken = aws.iam.get_role(RoleName=f"{SYSTEM}-{role}")["Role"]
    assert taken["Arn"] == aws.outputs["RolePrefix"] + role
    (statement,) = taken["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {"Federated": provider["Arn"]}
    assert statement["Condition"] == {
        "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": f"system:serviceaccount:{subject}"}
    }


@pytest.mark.parametrize(
    ("role", "action", "place"),
    [
        ("step", "s3:PutObject", "store/store/media/web-1/a.mp4"),
        ("step", "s3:GetObjectVersion", "uploads/talks/one.mp4"),
        ("step", "s3:PutObject", "store/store/catalogue/.manifests/00000001.json"),
        ("step", "s3:DeleteObject", "store/store/catalogue/.begun/00000001-0a1b2c3d.json"),
        ("step", "s3:PutObject", "logs/madvision/run.err"),
        ("run", "s3:PutObject", "logs/madvision/run.err"),
        ("webserver", "s3:GetObject", "logs/madvision/run.err"),
        ("code-server", "s3:GetObject", "store/store/clips/web-1/current.json"),
        ("code-server", "s3:DeleteObject", "store/store/media/web-1/a.mp4"),
        ("code-server", "s3:PutObject", "store/store/catalogue/.manifests/00000001.json"),
        ("code-server", "s3:PutObject", "store/store/clip_candidates/web-1/current.json"),
        ("code-server", "s3:PutObject", "store/store/transcript/web-1/current.json"),
        ("intake", "s3:PutObject", "store/store/clip_candidates/web-1/current.json"),
        ("intake", "s3:GetObject", "store/store/media/web-1/a.mp4"),
        ("intake", "s3:PutObject", "store/store/check-0a1b.txt"),
        ("intake", "s3:PutObject", "store/store/incoming/0a1b/000000.1"),
        ("intake", "s3:DeleteObject", "store/store/incoming/0a1b/000000.1"),
        ("code-server", "s3:DeleteObject", "store/store/incoming/0a1b/000000.1"),
        ("backup", "s3:GetObject", "store/store/media/web-1/a.mp4"),
        ("backup", "s3:PutObject", "backup/madvision/dumps/1"),
        ("backup", "s3:DeleteObject", "backup/madvision/dumps/1"),
    ],
)
def test_who_must_may(aws: Aws, role: str, action: str, place: str) -> None:
    assert _may(aws, role, action, place)


@pytest.mark.parametrize(
    ("role", "action", "place"),
    [
        ("step", "s3:DeleteObject", "store/store/media/web-1/a.mp4"),
        ("step", "s3:PutObject", "uploads/talks/one.mp4"),
        ("step", "s3:GetObject", "backup/madvision/dumps/1"),
        ("run", "s3:GetObject", "store/store/media/web-1/a.mp4"),
        ("daemon", "s3:GetObject", "store/store/media/web-1/a.mp4"),
        ("webserver", "s3:PutObject", "logs/madvision/run.err"),
        ("code-server", "s3:PutObject", "store/store/media/web-1/a.mp4"),
        ("code-server", "s3:PutObject", "store/store/clips/web-1/current.json"),
        ("intake", "s3:PutObject", "store/store/media/web-1/a.mp4"),
        ("intake", "s3:PutObject", "store/store/transcript/web-1/current.json"),
        ("intake", "s3:DeleteObject", "store/store/media/web-1/a.mp4"),
        ("intake", "s3:DeleteObject", "store/store/clip_candidates/web-1/current.json"),
        ("consumer", "s3:GetObject", "uploads/talks/one.mp4"),
        ("backup", "s3:DeleteObject", "backup/madvision/objects/media/web-1/a.mp4"),
        ("backup", "s3:PutObject", "store/store/media/web-1/a.mp4"),
    ],
)
def test_who_need_not_may_not(aws: Aws, role: str, action: str, place: str) -> None:
    assert not _may(aws, role, action, place)


def test_nobody_may_everything(aws: Aws) -> None:
    inbox = _queue(aws, aws.outputs["InboxUrl"])["QueueArn"]
    buckets = {each["Name"] for each in aws.s3.list_buckets()["Buckets"]}
    for role in (*ROLES, "cluster-autoscaler"):
        for action, resource in _allowed(aws, role):
            assert "*" not in action
            if resource == "*":
                assert re.match(r"(autoscaling|ec2):(Describe|Get)", action)
            elif action.startswith("sqs:"):
                assert resource == inbox
            elif action.startswith("s3:"):
                assert resource.removeprefix("arn:aws:s3:::").split("/")[0] in buckets


def test_a_restore_needs_a_word_first(aws: Aws) -> None:
    aws.deploy(FOLDER / "access.yaml", "restoring", OidcIssuer=aws.outputs["OidcIssuer"], AllowRestore="true")
    assert _may(aws, "backup", "s3:PutObject", "store/store/media/web-1/a.mp4", system="restoring")


# --- Money and alarms


def test_a_dear_month_and_lost_messages_are_told(aws: Aws) -> None:
    (budget,) = aws.budgets.describe_budgets(AccountId=ACCOUNT)["Budgets"]
    assert (budget["BudgetLimit"], budget["TimeUnit"]) == ({"Amount": "500", "Unit": "USD"}, "MONTHLY")
    assert budget["CostFilters"] == {"TagKeyValue": [f"user:project${SYSTEM}"]}
    alarms = {each["AlarmName"]: each for each in aws.cloudwatch.describe_alarms()["MetricAlarms"]}
    watched = {name: each["Dimensions"][0]["Value"] for name, each in alarms.items()}
    inbox, dead = (aws.outputs[name].rsplit("/", 1)[1] for name in ("InboxUrl", "DeadLettersUrl"))
    assert watched == {
        f"{SYSTEM}-inbox-stands-still": inbox,
        f"{SYSTEM}-dead-letters": dead,
        f"{SYSTEM}-database-space": SYSTEM,
    }
    assert all(each["AlarmActions"] == [aws.outputs["AlarmsTopic"]] for each in alarms.values())


# --- details


def _bucket(name: str, system: str = SYSTEM) -> str:
    return f"{system}-{name}-{ACCOUNT}-{REGION}"


def _lifecycle(aws: Aws, bucket: str) -> dict[str, dict[str, Any]]:
    rules = aws.s3.get_bucket_lifecycle_configuration(Bucket=_bucket(bucket))["Rules"]
    return {rule["ID"]: rule for rule in rules}


def _queue(aws: Aws, url: str) -> dict[str, str]:
    attributes: dict[str, str] = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return attributes


def _nodes(aws: Aws, pool: str) -> dict[str, Any]:
    group: dict[str, Any] = aws.eks.describe_nodegroup(clusterName=SYSTEM, nodegroupName=f"{SYSTEM}-{pool}")[
        "nodegroup"
    ]
    return group


def _allowed(aws: Aws, role: str, system: str = SYSTEM) -> Iterator[tuple[str, str]]:
    for statement in aws.statements(f"{system}-{role}"):
        assert statement["Effect"] == "Allow"
        actions, resources = (
            [told] if isinstance(told, str) else told for told in (statement["Action"], statement["Resource"])
        )
        yield from product(actions, resources)


def _may(aws: Aws, role: str, action: str, place: str, system: str = SYSTEM) -> bool:
    bucket, key = place.split("/", 1)
    wanted = f"arn:aws:s3:::{_bucket(bucket, system)}/{key}"
    return any(allowed == action and fnmatchcase(wanted, where) for allowed, where in _allowed(aws, role, system))
