"""What `deploy/terraform/examples/complete` expects to be there: a network, a load balancer with a listener, and a hosted
zone. Makes them in the account of the environment and prints the variables of the example."""

import json
import sys

import boto3

ec2, elb, route53, sts = (boto3.client(name) for name in ("ec2", "elbv2", "route53", "sts"))
domain = "apps.example.com"
account = sts.get_caller_identity()["Account"]

vpc = ec2.describe_vpcs(Filters=[{"Name": "isDefault", "Values": ["true"]}])["Vpcs"][0]["VpcId"]
subnets = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["Subnets"]
subnet_ids = sorted(subnet["SubnetId"] for subnet in subnets)[:2]
group = ec2.create_security_group(GroupName="balancer", Description="The load balancer", VpcId=vpc)["GroupId"]
balancer = elb.create_load_balancer(Name="apps", Subnets=subnet_ids, SecurityGroups=[group])["LoadBalancers"][0]
refusal = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
listener = elb.create_listener(
    LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[refusal]
)["Listeners"][0]
zone = route53.create_hosted_zone(Name=domain, CallerReference="surroundings")["HostedZone"]["Id"]

json.dump(
    {
        "region": ec2.meta.region_name,
        "network": {"vpc_id": vpc, "subnet_ids": subnet_ids},
        "load_balancer": {
            "listener_arn": listener["ListenerArn"],
            "security_group_id": group,
            "dns_name": balancer["DNSName"],
            "zone_id": balancer["CanonicalHostedZoneId"],
        },
        "dns": {"zone_id": zone.split("/")[-1], "domain": domain},
        "lamplighter_image": "images.example.com/lamplighter:0.1.0",
        "app_image": "images.example.com/shop:7",
        "repository_arns": [f"arn:aws:ecr:{ec2.meta.region_name}:{account}:repository/apps"],
        "api_token_sha256": "0" * 63 + "1",
        "secrets": {"WEBHOOK_SECRET": f"arn:aws:secretsmanager:{ec2.meta.region_name}:{account}:secret:hook-AbCdEf"},
        "terraform": {"zip": "s3://tools/terraform_1.11.4_linux_amd64.zip", "sha256": "0" * 64},
        "portal_principals": [f"arn:aws:iam::{account}:role/site"],
        "portal_security_group_ids": [group],
        "monitoring_security_group_ids": [group],
        "operator_principals": [account],
        "events": True,
    },
    sys.stdout,
)
