# The API behind the load balancer, and without. Nothing is asked of AWS.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/made" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/made" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-central-1:111122223333:task-definition/made:1" }
  }
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/made/0123456789abcdef" }
  }
}

variables {
  region            = "eu-central-1"
  network           = { vpc_id = "vpc-1", subnet_ids = ["subnet-1", "subnet-2"] }
  dns               = { zone_id = "Z0123456789ABC", domain = "apps.example.com" }
  lamplighter_image = "registry.example.com/lamplighter:0.1.0"
  app_image         = "registry.example.com/shop:7"
  api_token_sha256  = "0000000000000000000000000000000000000000000000000000000000000001"
  load_balancer = {
    listener_arn      = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/apps/0123456789abcdef/0123456789abcdef"
    security_group_id = "sg-1"
    dns_name          = "apps-1.eu-central-1.elb.amazonaws.com"
    zone_id           = "Z0123456789DEF"
  }
}

run "without_a_name" {
  assert {
    condition     = length(aws_lb_target_group.api) + length(aws_lb_listener_rule.api) == 0
    error_message = "the load balancer offers an API that nobody asked it to"
  }
}

run "with_a_name" {
  variables { api_host = "lamplighter.example.com" }
  assert {
    condition = (
      one(one(one(aws_lb_listener_rule.api).condition).host_header).values == toset(["lamplighter.example.com"])
      && one(one(aws_lb_listener_rule.api).action).target_group_arn == one(aws_lb_target_group.api).arn
    )
    error_message = "the rule does not lead from that name to the API"
  }
  assert {
    condition     = one(aws_lb_target_group.api).port == 8080 && one(one(aws_lb_target_group.api).health_check).matcher == "401"
    error_message = "the API is asked elsewhere, or for what it gives to nobody without a token"
  }
}

run "name_that_is_none" {
  command = plan
  variables { api_host = "*.example.com" }
  expect_failures = [var.api_host]
}

run "name_of_an_app" {
  command = plan
  variables { api_host = "lamplighter.apps.example.com" }
  expect_failures = [var.api_host]
}
