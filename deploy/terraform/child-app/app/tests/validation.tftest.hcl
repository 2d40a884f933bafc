# Bad values, one of each variable at a time, and that each is refused by its own variable. Nothing is asked of AWS.

mock_provider "aws" {}

variables {
  host_name          = "shop.apps.example.com"
  resource_name      = "shop-0123abcd"
  instance_id        = "ann-shop"
  cluster            = "apps"
  task_definition    = "arn:aws:ecs:eu-central-1:111122223333:task-definition/shop:1"
  container_name     = "web"
  container_port     = 8080
  vpc_id             = "vpc-1"
  subnet_ids         = ["subnet-1"]
  security_group_ids = ["sg-1"]
  listener_arn       = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/apps/1/2"
}

run "first_of_each" {
  command = plan
  variables {
    # Host without a domain.
    host_name = "shop"
    # Name too long for a target group.
    resource_name = "a23456789012345678901234567890123"
    # Id with a path.
    instance_id = "../ann"
    # Cluster by address.
    cluster = "arn:aws:ecs:eu-central-1:111122223333:cluster/apps"
    # Task definition without its revision.
    task_definition = "shop"
    # Container without a name.
    container_name = ""
    # No port.
    container_port = 0
    # Health path without a slash.
    health_path = "healthz"
    # Vpc by name.
    vpc_id = "default"
    # No subnet.
    subnet_ids = []
    # No security group.
    security_group_ids = []
    # Listener of a network load balancer.
    listener_arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/net/apps/1/2"
    # Zone with its path.
    dns = { zone_id = "/hostedzone/Z1", load_balancer_name = "apps.example.net", load_balancer_zone_id = "Z2" }
  }
  expect_failures = [var.host_name, var.resource_name, var.instance_id, var.cluster, var.task_definition, var.container_name, var.container_port, var.health_path, var.vpc_id, var.subnet_ids, var.security_group_ids, var.listener_arn, var.dns]
}

run "second_of_each" {
  command = plan
  variables {
    # Host with a star.
    host_name = "*.apps.example.com"
    # Name that ends with a hyphen.
    resource_name = "shop-"
  }
  expect_failures = [var.host_name, var.resource_name]
}
