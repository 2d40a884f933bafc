# What is made of which variables. Nothing is asked of AWS.

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
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-central-1:111122223333:task-definition/made:1" }
  }
}

variables {
  name            = "shop"
  cluster         = "apps"
  state_table_arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/lamplighter-state"
  network         = { vpc_id = "vpc-1", subnet_ids = ["subnet-1"] }
  container       = { image = "registry.example.com/shop:7", port = 8080 }
  load_balancer = {
    listener_arn      = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/apps/1/2"
    security_group_id = "sg-1"
    dns_name          = "apps.example.net"
    zone_id           = "Z1"
  }
}

run "shipped_build" {
  assert {
    condition     = aws_codebuild_project.this.source[0].buildspec == file("../../child-app/buildspec.yml")
    error_message = "the project has another buildspec than the shipped one"
  }
  assert {
    condition     = alltrue([for name in ["gate.sh", "child-app.sh"] : aws_s3_object.source[name].source_hash == filesha256("../../child-app/${name}")])
    error_message = "builds get other scripts than the shipped ones"
  }
  assert {
    condition     = contains(keys(aws_s3_object.source), "app/main.tf") && output.environment.MODULE_DIR == "app"
    error_message = "builds do not get the module, or look for it elsewhere"
  }
  assert {
    condition     = length([for name in keys(output.environment) : name if startswith(name, "TERRAFORM_") || name == "TF_VAR_dns"]) == 0
    error_message = "a build is told of a zip or a zone that there is not"
  }
}

run "gates_only" {
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.build.policy).Statement : statement
      if length([for action in flatten([statement.Action]) : action if startswith(action, "dynamodb:")]) > 0
      ] == [{
        Sid       = "Gate"
        Effect    = "Allow"
        Action    = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource  = "arn:aws:dynamodb:eu-central-1:111122223333:table/lamplighter-state"
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["gate#*"] } }
    }]
    error_message = "a build may touch more than gates"
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.build.policy, "iam:PassRole")
    error_message = "a build may hand on roles"
  }
}

run "states_that_are_kept" {
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "a state that was spoilt is gone"
  }
  assert {
    condition     = aws_s3_bucket_public_access_block.this.block_public_acls && aws_s3_bucket_public_access_block.this.restrict_public_buckets
    error_message = "states could be made public"
  }
}

run "a_module_of_yours" {
  variables { module_dir = "./app" }
  assert {
    condition     = contains(keys(aws_s3_object.source), "app/variables.tf")
    error_message = "builds do not get that module"
  }
}
