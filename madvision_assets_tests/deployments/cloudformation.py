"""CloudFormation on moto's server, taught the types that it lacks.

moto creates a stack itself, with its references, conditions, exports and order, but knows only some of our types, and
of others half the properties. Those are made by their service's own API of the same server, over HTTP, out of what
CloudFormation hands it; botocore checks names and types on the way. What moto has no API for either is named in
``NOT_MADE``, and left out. A type that nobody knows fails its stack.
"""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]
from cfnlint.decode.cfn_yaml import load  # type: ignore[import-untyped]
from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel
from moto.core.config import default_user_config
from moto.iam.models import iam_backends
from moto.server import ThreadedMotoServer

# Our templates, and the guide that says how to use them.
FOLDER = Path(__file__).parents[2] / "deployments" / "aws"
TEMPLATES = sorted(FOLDER.glob("*.yaml"))
GUIDE = (FOLDER / "README.md").read_text()
ACCOUNT = "123456789012"
REGION = "eu-central-1"
READ_LIMIT_S = 240
NOT_MADE = {
    "AWS::EKS::Addon": "moto's EKS has no add-ons",
    "AWS::EKS::AccessEntry": "moto's EKS has no access entries",
}
# Maps whose keys are a person's own: they are not turned into the API's spelling.
OWN_KEYS = {"labels", "tags"}
MARKER = "ExpiredObjectDeleteMarker"

Properties = dict[str, Any]


@dataclass
class Made:
    """A resource as its stack sees it.

    Attributes:
        physical_resource_id: what ``Ref`` gives.
        attributes: what ``GetAtt`` gives.
    """

    physical_resource_id: str
    attributes: Mapping[str, str] = field(default_factory=dict)

    def get_cfn_attribute(self, name: str) -> str:
        """What ``GetAtt`` gives."""
        return self.attributes[name]

    def is_created(self) -> bool:
        """Whether it is there; the APIs answer when it is."""
        return True


class Aws:
    """An account on moto's server; ``aws.s3`` is boto3's client of S3, and so on for each service.

    Attributes:
        outputs: of the stacks that were deployed.
    """

    def __init__(self, endpoint_url: str, closer: ExitStack) -> None:
        """Open nothing yet; ``closer`` closes the clients."""
        self.outputs: dict[str, str] = {}
        self._endpoint_url = endpoint_url
        self._closer = closer
        self._session = boto3.Session(aws_access_key_id=ACCOUNT, aws_secret_access_key="made-up", region_name=REGION)

    def __getattr__(self, service: str) -> Any:
        """Open the client of a service when it is first asked for."""
        # On a busy machine moto takes longer than a client waits, which would then make the same stack twice.
        once = Config(read_timeout=READ_LIMIT_S, retries={"total_max_attempts": 1})
        client = self._session.client(service, endpoint_url=self._endpoint_url, config=once)
        self._closer.enter_context(closing(client))
        setattr(self, service, client)
        return client

    def deploy(self, template: Path, system: str, **parameters: str) -> None:
        """Create a template's stack, as ``aws cloudformation deploy`` does."""
        # moto splits a list that it is given, but not a default.
        defaults = {name: str(of["Default"]) for name, of in load(template)["Parameters"].items() if "Default" in of}
        values = {**defaults, "SystemName": system, **parameters}
        name = f"{system}-{template.stem}"
        self.cloudformation.create_stack(
            StackName=name,
            TemplateBody=template.read_text(),
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Tags=[{"Key": "project", "Value": system}],
        )
        (stack,) = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        self.outputs |= {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def statements(self, role: str) -> Iterator[Properties]:
        """What a role's own and attached policies say, one statement after the other."""
        for name in self.iam.list_role_policies(RoleName=role)["PolicyNames"]:
            yield from self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]
        for policy in self.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            arn = policy["PolicyArn"]
            version = self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            found = self.iam.get_policy_version(PolicyArn=arn, VersionId=version)
            yield from found["PolicyVersion"]["Document"]["Statement"]


@contextmanager
def account() -> Iterator[Aws]:
    """An account on a server of its own, with AWS's own policies."""
    default_user_config["iam"]["load_aws_managed_policies"] = True
    iam_backends.reset()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        with ExitStack() as closer:
            host, port = server.get_host_and_port()
            aws = Aws(f"http://{host}:{port}", closer)
            taught = [_model(kind, make) for kind, make in _makers(aws).items()]
            _forget_models()
            yield aws
            taught.clear()
            _forget_models()
    finally:
        server.stop()
        default_user_config["iam"]["load_aws_managed_policies"] = False


def _model(kind: str, make: Callable[[Properties], Made]) -> type[CloudFormationModel]:
    """What moto finds by itself among the subclasses."""

    def create(_name: str, document: Properties, *_where: str, **_identity: str) -> Made:
        return make(document["Properties"])

    members = {
        "cloudformation_type": staticmethod(lambda: kind),
        "cloudformation_name_type": staticmethod(lambda: ""),
        "has_cfn_attr": staticmethod(lambda _attribute: True),
        "create_from_cloudformation_json": staticmethod(create),
    }
    return type(kind.replace("::", ""), (CloudFormationModel,), members)


def _forget_models() -> None:
    for remembered in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        remembered.cache_clear()


def _makers(aws: Aws) -> dict[str, Callable[[Properties], Made]]:
    makers = {
        "AWS::Budgets::Budget": _budget,
        "AWS::CloudWatch::Alarm": _alarm,
        "AWS::EC2::SubnetRouteTableAssociation": _routes_of,
        "AWS::EC2::VPCEndpoint": _endpoint,
        "AWS::ECR::Repository": _repository,
        "AWS::EKS::Cluster": _cluster,
        "AWS::EKS::Nodegroup": _nodegroup,
        "AWS::IAM::OIDCProvider": _identities,
        "AWS::IAM::Role": _role,
        "AWS::RDS::DBInstance": _database,
        "AWS::S3::Bucket": _bucket,
        "AWS::S3::BucketPolicy": _bucket_policy,
        "AWS::SNS::Subscription": _subscription,
        "AWS::SQS::QueuePolicy": _queue_policy,
    }
    left_out = {kind: lambda _: Made("left out") for kind in NOT_MADE}
    return left_out | {kind: partial(make, aws) for kind, make in makers.items()}


# --- One function a type: its properties, in its API's words.


def _budget(aws: Aws, given: Properties) -> Made:
    budget = given["Budget"]
    budget["BudgetLimit"]["Amount"] = str(budget["BudgetLimit"]["Amount"])
    notifications = given["NotificationsWithSubscribers"]
    aws.budgets.create_budget(AccountId=ACCOUNT, Budget=budget, NotificationsWithSubscribers=notifications)
    return Made(budget["BudgetName"])


def _alarm(aws: Aws, given: Properties) -> Made:
    aws.cloudwatch.put_metric_alarm(**given)
    return Made(given["AlarmName"])


def _routes_of(aws: Aws, given: Properties) -> Made:
    return Made(aws.ec2.associate_route_table(**given)["AssociationId"])


def _endpoint(aws: Aws, given: Properties) -> Made:
    if options := given.get("DnsOptions"):  # a word in a template, and yes or no in the API
        name, (word,) = "PrivateDnsOnlyForInboundResolverEndpoint", options.values()
        given["DnsOptions"] = {name: {"OnlyInboundResolver": True, "AllResolvers": False}[word]}
    made = aws.ec2.create_vpc_endpoint(**given)["VpcEndpoint"]
    return Made(made["VpcEndpointId"])


def _repository(aws: Aws, given: Properties) -> Made:
    rules = given.pop("LifecyclePolicy")["LifecyclePolicyText"]
    name = aws.ecr.create_repository(**_camel(given))["repository"]["repositoryName"]
    aws.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=rules)
    return Made(name)


def _cluster(aws: Aws, given: Properties) -> Made:
    given["Logging"]["ClusterLogging"] = [
        {"Enabled": True, "Types": [each["Type"] for each in given["Logging"]["ClusterLogging"]["EnabledTypes"]]}
    ]
    cluster = aws.eks.create_cluster(**_camel(given))["cluster"]
    attributes = {
        "Arn": cluster["arn"],
        "OpenIdConnectIssuerUrl": cluster["identity"]["oidc"]["issuer"],
        "ClusterSecurityGroupId": _cluster_group(aws, cluster),
    }
    return Made(cluster["name"], attributes)


def _cluster_group(aws: Aws, cluster: Properties) -> str:
    """EKS makes this group with the cluster, moto's does not."""
    (subnet, *_) = aws.ec2.describe_subnets(SubnetIds=cluster["resourcesVpcConfig"]["subnetIds"])["Subnets"]
    name = f"eks-cluster-sg-{cluster['name']}"
    made = aws.ec2.create_security_group(GroupName=name, Description="of the cluster", VpcId=subnet["VpcId"])
    return str(made["GroupId"])


def _nodegroup(aws: Aws, given: Properties) -> Made:
    given["LaunchTemplate"]["Version"] = str(given["LaunchTemplate"]["Version"])
    group = aws.eks.create_nodegroup(**_camel(given))["nodegroup"]
    return Made(f"{group['clusterName']}/{group['nodegroupName']}")


def _identities(aws: Aws, given: Properties) -> Made:
    made = aws.iam.create_open_id_connect_provider(Url=given["Url"], ClientIDList=given["ClientIdList"])
    return Made(made["OpenIDConnectProviderArn"])


def _role(aws: Aws, given: Properties) -> Made:
    trust = given["AssumeRolePolicyDocument"]
    name = given.get("RoleName") or f"unnamed-{secrets.token_hex(4)}"
    trust = trust if isinstance(trust, str) else json.dumps(trust)
    made = aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    for policy in filter(None, given.get("ManagedPolicyArns", [])):  # moto leaves AWS::NoValue in a list
        aws.iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    for policy in given.get("Policies", []):
        document = json.dumps(policy["PolicyDocument"])
        aws.iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)
    return Made(name, {"Arn": made["Arn"]})


def _database(aws: Aws, given: Properties) -> Made:
    given["VpcSecurityGroupIds"] = given.pop("VPCSecurityGroups")
    given["MultiAZ"] = given["MultiAZ"] == "true"
    given.pop("DeleteAutomatedBackups")  # said at the end of a database's life
    # moto gives its own object for a reference to these.
    for name in ("DBSubnetGroupName", "DBParameterGroupName"):
        given[name] = getattr(given[name], "name", given[name])
    made = aws.rds.create_db_instance(**given)["DBInstance"]
    # moto asks for the first part of `Endpoint.Address` only.
    attributes = {"Endpoint": made["Endpoint"]["Address"], "MasterUserSecret": made["MasterUserSecret"]["SecretArn"]}
    return Made(made["DBInstanceIdentifier"], attributes)


def _bucket(aws: Aws, given: Properties) -> Made:
    name = given["BucketName"]
    aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    rules = given["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    for rule in rules:
        rule["ApplyServerSideEncryptionByDefault"] = rule.pop("ServerSideEncryptionByDefault")
    aws.s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    private = given["PublicAccessBlockConfiguration"]
    aws.s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=private)
    rules = [_lifecycle_rule(rule) for rule in given["LifecycleConfiguration"]["Rules"]]
    aws.s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
    if versioning := given.get("VersioningConfiguration"):
        aws.s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
    if told := given.get("NotificationConfiguration"):
        queues = [{"QueueArn": each["Queue"], "Events": [each["Event"]]} for each in told["QueueConfigurations"]]
        aws.s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"QueueConfigurations": queues}
        )
    return Made(name, {"Arn": f"arn:aws:s3:::{name}"})


def _lifecycle_rule(given: Properties) -> Properties:
    rule = {"ID": given.pop("Id"), "Filter": {"Prefix": given.pop("Prefix", "")}}
    expiration = {"Days": given.pop("ExpirationInDays", None), "ExpiredObjectDeleteMarker": given.pop(MARKER, None)}
    if expiration := {name: value for name, value in expiration.items() if value is not None}:
        rule["Expiration"] = expiration
    for transition in given.get("Transitions", []):
        transition["Days"] = transition.pop("TransitionInDays")
    return rule | given


def _bucket_policy(aws: Aws, given: Properties) -> Made:
    aws.s3.put_bucket_policy(Bucket=given["Bucket"], Policy=json.dumps(given["PolicyDocument"]))
    return Made(given["Bucket"])


def _subscription(aws: Aws, given: Properties) -> Made:
    return Made(aws.sns.subscribe(**given)["SubscriptionArn"])


def _queue_policy(aws: Aws, given: Properties) -> Made:
    for url in given["Queues"]:
        aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(given["PolicyDocument"])})
    return Made(given["Queues"][0])


def _camel(value: Any) -> Any:
    """EKS's API spells its names so; what a person named stays."""
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    spelt = {key[0].lower() + key[1:]: each for key, each in value.items()}
    return {key: each if key in OWN_KEYS else _camel(each) for key, each in spelt.items()}
