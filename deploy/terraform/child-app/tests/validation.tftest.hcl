# Bad values, one of each variable at a time, and that each is refused by its own variable. Nothing is asked of AWS.

mock_provider "aws" {}

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

run "first_of_each" {
  command = plan
  variables {
    # Name with capitals.
    name = "Shop"
    # Cluster by address.
    cluster = "arn:aws:ecs:eu-central-1:111122223333:cluster/apps"
    # Table by name.
    state_table_arn = "lamplighter-state"
    # Network without subnets.
    network = { vpc_id = "vpc-1", subnet_ids = [] }
    # Listener of a network load balancer.
    load_balancer = {
      listener_arn      = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/net/apps/1/2"
      security_group_id = "sg-1"
      dns_name          = "apps.example.net"
      zone_id           = "Z1"
    }
    # Zone with its path.
    dns = { zone_id = "/hostedzone/Z1", domain = "apps.example.com" }
    # Image that changes.
    container = { image = "registry.example.com/shop:latest", port = 8080 }
    # Folder without a module.
    module_dir = "tests"
    # Zip from elsewhere.
    terraform = { zip = "https://example.com/terraform.zip", sha256 = "0000000000000000000000000000000000000000000000000000000000000000" }
    # Build on windows.
    build = { type = "WINDOWS_SERVER_2022_CONTAINER" }
    # Bucket with capitals.
    bucket = "States"
    # Versions kept for no day.
    state_version_days = 0
    # Lock given up before a stopped build is gone.
    lock_wait_secs = 60
    # Key by alias.
    kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:alias/states"
    # Retention that logs does not know.
    log_retention_days = 100
    # Tag of an app.
    tags = { "lamplighter:instance-id" = "shop" }
  }
  expect_failures = [var.name, var.cluster, var.state_table_arn, var.network, var.load_balancer, var.dns, var.container, var.module_dir, var.terraform, var.build, var.bucket, var.state_version_days, var.lock_wait_secs, var.kms_key_arn, var.log_retention_days, var.tags]
}

run "second_of_each" {
  command = plan
  variables {
    # Balancer without a security group.
    load_balancer = {
      listener_arn      = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/apps/1/2"
      security_group_id = ""
      dns_name          = "apps.example.net"
      zone_id           = "Z1"
    }
    # Domain with a star.
    dns = { zone_id = "Z1", domain = "*.example.com" }
    # Port beyond the last.
    container = { image = "registry.example.com/shop:7", port = 65536 }
    # Digest cut short.
    terraform = { zip = "s3://tools/terraform.zip", sha256 = "0123" }
    # Build on a size that is none.
    build = { compute_type = "SMALL" }
  }
  expect_failures = [var.load_balancer, var.dns, var.container, var.terraform, var.build]
}

run "third_of_each" {
  command = plan
  variables {
    # Health path without a slash.
    container = { image = "registry.example.com/shop:7", port = 8080, health_path = "healthz" }
  }
  expect_failures = [var.container]
}

run "fourth_of_each" {
  command = plan
  variables {
    # Size that fargate has not.
    container = { image = "registry.example.com/shop:7", port = 8080, cpu = 256, memory = 4096 }
  }
  expect_failures = [var.container]
}
