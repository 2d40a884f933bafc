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
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/made" }
  }
  mock_resource "aws_ecs_task_definition" {
    defaults = { arn = "arn:aws:ecs:eu-central-1:111122223333:task-definition/made:1" }
  }
  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-central-1:111122223333:made" }
  }
}

variables {
  projects = ["shop"]
  clusters = ["apps"]
}

run "tables_and_policies_alone" {
  assert {
    condition     = length(aws_iam_role.daemon) + length(aws_iam_role.portal) + length(aws_iam_role.operator) == 0
    error_message = "a role was made that nobody asked for"
  }
  assert {
    condition     = length(aws_sqs_queue.events) + length(aws_ecs_service.daemon) + length(aws_security_group.daemon) == 0
    error_message = "a queue or a service was made that nobody asked for"
  }
  assert {
    condition = alltrue([
      for table in [aws_dynamodb_table.desired, aws_dynamodb_table.state, aws_dynamodb_table.events] :
      table.deletion_protection_enabled && table.point_in_time_recovery[0].enabled && table.server_side_encryption[0].enabled
    ])
    error_message = "a table lacks protection, backups or encryption"
  }
  assert {
    condition     = !strcontains(aws_iam_policy.daemon.policy, "NoOtherVariables")
    error_message = "variables of builds are denied though nobody said which there are"
  }
  assert {
    condition     = !strcontains(aws_iam_policy.daemon.policy, "ecs:DeleteService")
    error_message = "the daemon may delete services though nobody asked for that"
  }
}

run "variables_of_builds" {
  variables { build_variables = ["TF_VAR_size", "EXTRA_*"] }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_policy.daemon.policy).Statement :
      slice(reverse(statement.Condition["ForAnyValue:StringNotLike"]["codebuild:environment.environmentVariables.name"]), 0, 2)
      if statement.Sid == "NoOtherVariables"
    ] == [["EXTRA_*", "TF_VAR_size"]]
    error_message = "builds are not given the variables that are named"
  }
}

run "deletes_of_leftovers" {
  variables { force_delete = true }
  assert {
    condition     = strcontains(aws_iam_policy.daemon.policy, "ecs:DeleteService")
    error_message = "the daemon may not delete leftovers"
  }
}

run "role_for_one_service_account" {
  variables {
    kubernetes = {
      oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/1"
      namespace         = "apps"
      service_account   = "lamplighter"
    }
  }
  assert {
    condition = (
      jsondecode(aws_iam_role.daemon[0].assume_role_policy).Statement[0].Condition.StringEquals["oidc.example.com/id/1:sub"]
      == "system:serviceaccount:apps:lamplighter"
    )
    error_message = "the trust is not for that service account alone"
  }
  assert {
    condition     = length(jsondecode(aws_iam_role.daemon[0].assume_role_policy).Statement) == 1
    error_message = "more than the service account is trusted"
  }
}

run "role_by_pod_identity_for_one_cluster" {
  variables {
    kubernetes = {
      namespace       = "apps"
      service_account = "lamplighter"
      pod_identity    = true
      cluster_arn     = "arn:aws:eks:eu-central-1:111122223333:cluster/tools"
    }
  }
  assert {
    condition = jsondecode(aws_iam_role.daemon[0].assume_role_policy).Statement == [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Principal = { Service = "pods.eks.amazonaws.com" }
      Condition = {
        StringEquals = {
          "aws:SourceAccount"                         = "111122223333"
          "aws:RequestTag/eks-cluster-arn"            = "arn:aws:eks:eu-central-1:111122223333:cluster/tools"
          "aws:RequestTag/kubernetes-namespace"       = "apps"
          "aws:RequestTag/kubernetes-service-account" = "lamplighter"
        }
      }
    }]
    error_message = "the trust is not for that service account of that cluster alone"
  }
}

run "role_by_pod_identity_for_one_account" {
  variables {
    kubernetes = { namespace = "apps", service_account = "lamplighter", pod_identity = true }
  }
  assert {
    condition = jsondecode(aws_iam_role.daemon[0].assume_role_policy).Statement[0].Condition.StringEquals == {
      "aws:SourceAccount"                         = "111122223333"
      "aws:RequestTag/kubernetes-namespace"       = "apps"
      "aws:RequestTag/kubernetes-service-account" = "lamplighter"
    }
    error_message = "the trust is not for that service account alone"
  }
}

run "events_with_both_dead_letter_ways" {
  variables { events = true }
  assert {
    condition     = alltrue([for target in aws_cloudwatch_event_target.queue : target.dead_letter_config[0].arn == aws_sqs_queue.dead[0].arn])
    error_message = "what EventBridge can't deliver is dropped"
  }
  assert {
    condition     = jsondecode(aws_sqs_queue.events[0].redrive_policy).deadLetterTargetArn == aws_sqs_queue.dead[0].arn
    error_message = "what is never deleted goes round for ever"
  }
  assert {
    condition     = aws_sqs_queue.dead[0].message_retention_seconds > aws_sqs_queue.events[0].message_retention_seconds
    error_message = "a dead letter keeps the age of its message, so its queue has to keep longer"
  }
}

run "daemon_on_fargate" {
  variables {
    service = {
      cluster    = "apps"
      vpc_id     = "vpc-1"
      subnet_ids = ["subnet-1"]
      image      = "registry.example.com/lamplighter@sha256:0000000000000000000000000000000000000000000000000000000000000000"
      config     = "[apps.shop]"
      secrets    = { WEBHOOK_SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:webhook-AbCdEf:key::" }
    }
  }
  assert {
    condition     = aws_ecs_service.daemon["daemon"].desired_count == 2 && !aws_ecs_service.daemon["daemon"].network_configuration[0].assign_public_ip
    error_message = "there are not two replicas without public addresses"
  }
  assert {
    condition = alltrue([
      for container in jsondecode(aws_ecs_task_definition.daemon["daemon"].container_definitions) :
      container.readonlyRootFilesystem && container.linuxParameters.capabilities.drop == ["ALL"]
    ])
    error_message = "a container may write to its root or has capabilities"
  }
  assert {
    condition = [
      for container in jsondecode(aws_ecs_task_definition.daemon["daemon"].container_definitions) :
      container.healthCheck if can(container.healthCheck)
    ] == [{ command = ["CMD", "/lamplighter", "healthy"], interval = 30, timeout = 5, retries = 3, startPeriod = 15 }]
    error_message = "ECS does not ask the daemon how it is, or asks the container that ends"
  }
  assert {
    condition = one([
      for statement in jsondecode(aws_iam_role_policy.execution["daemon"].policy).Statement :
      statement.Resource if statement.Sid == "Secrets"
    ]) == ["arn:aws:secretsmanager:eu-central-1:111122223333:secret:webhook-AbCdEf"]
    error_message = "more or less than the one secret may be read"
  }
}

run "daemon_that_others_reach" {
  variables {
    service = {
      cluster                = "apps"
      vpc_id                 = "vpc-1"
      subnet_ids             = ["subnet-1"]
      image                  = "registry.example.com/lamplighter:0.1.0"
      config                 = "[api]\npublic_addr = \"0.0.0.0:8080\"\n[apps.shop]"
      target_group_arn       = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/api/0123456789abcdef"
      api_security_group_ids = ["sg-1"]
      egress_ports           = [443, 8443, 8443]
    }
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.api : "${rule.referenced_security_group_id}:${rule.from_port}"] == ["sg-1:8080"]
    error_message = "others than that group reach the API"
  }
  assert {
    condition = (
      [for rule in aws_vpc_security_group_egress_rule.more : "${rule.from_port}-${rule.to_port}"] == ["8443-8443"]
      && length(aws_vpc_security_group_egress_rule.https) == 1
    )
    error_message = "the ports that apps answer on are not each opened once"
  }
  assert {
    condition     = one(aws_ecs_service.daemon["daemon"].load_balancer).container_port == 8080
    error_message = "the load balancer asks another port than the API's"
  }
}
