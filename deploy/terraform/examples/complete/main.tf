# All of it in an account of its own making but for the network, the load balancer and the images: Lamplighter on
# Fargate, and the builds of one catalogue entry. Copy it, and put your values into terraform.tfvars.

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 6.0"
    }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = { project = "lamplighter" }
  }
}

locals {
  project = "shop"
}

resource "aws_ecs_cluster" "apps" {
  name = var.cluster
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

# The API behind the load balancer, if it is to have a name there.
resource "aws_lb_target_group" "api" {
  #checkov:skip=CKV_AWS_378:Within the VPC, from load balancer to task; people meet the listener's TLS.
  count       = var.api_host == null ? 0 : 1
  name        = "lamplighter-api"
  vpc_id      = var.network.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = 8080

  health_check {
    path = "/api/v1/apps"
    # What the API says to whoever has no token.
    matcher = "401"
  }
}

resource "aws_lb_listener_rule" "api" {
  count        = length(aws_lb_target_group.api)
  listener_arn = var.load_balancer.listener_arn
  condition {
    host_header {
      values = [var.api_host]
    }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api[count.index].arn
  }
}

module "lamplighter" {
  source = "../../lamplighter"

  projects = [local.project]
  clusters = [aws_ecs_cluster.apps.name]
  # The names of parameters, once the catalogue in lamplighter.toml.tftpl has some.
  build_variables     = []
  events              = var.events
  portal_principals   = var.portal_principals
  operator_principals = var.operator_principals
  deletion_protection = var.deletion_protection

  service = {
    cluster         = aws_ecs_cluster.apps.name
    vpc_id          = var.network.vpc_id
    subnet_ids      = var.network.subnet_ids
    image           = var.lamplighter_image
    repository_arns = var.repository_arns
    # By way of the rule: AWS makes no service whose target group no listener uses.
    target_group_arn         = one(aws_lb_listener_rule.api[*].action[0].target_group_arn)
    api_security_group_ids   = distinct(concat(var.portal_security_group_ids, [for host in [var.api_host] : var.load_balancer.security_group_id if host != null]))
    admin_security_group_ids = var.monitoring_security_group_ids
    secrets                  = var.secrets
    config = templatefile("${path.module}/lamplighter.toml.tftpl", {
      region           = var.region
      domain           = var.dns.domain
      project          = local.project
      cluster          = var.cluster
      health_path      = var.app_health_path
      api_token_sha256 = var.api_token_sha256
    })
  }
}

module "shop" {
  source = "../../child-app"

  name            = local.project
  cluster         = aws_ecs_cluster.apps.name
  state_table_arn = module.lamplighter.table_arns.state
  network         = var.network
  load_balancer   = var.load_balancer
  dns             = var.dns
  terraform       = var.terraform
  container = {
    image           = var.app_image
    port            = var.app_port
    health_path     = var.app_health_path
    repository_arns = var.repository_arns
  }
}
