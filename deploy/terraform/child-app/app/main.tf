# One app: its service, its way from the load balancer, and its name. `child-app.sh` applies and destroys this in a
# build, past the gate. What begins with host_name, resource_name and instance_id comes from Lamplighter; the rest from
# the CodeBuild project.

terraform {
  required_version = ">= 1.11"
  # Filled in by child-app.sh: bucket, key, Region, encryption, lock file.
  backend "s3" {}
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

locals {
  # By these Lamplighter knows whose a service is, and the build's role may touch nothing without the first.
  tags = {
    "lamplighter:instance-id" = var.instance_id
    "lamplighter:host-name"   = var.host_name
  }
}

resource "aws_lb_target_group" "app" {
  #checkov:skip=CKV_AWS_378:Within the VPC, from load balancer to task; people meet the listener's TLS.
  name        = var.resource_name
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = var.container_port
  # An app that is put out has nobody to wait for.
  deregistration_delay = 10
  tags                 = local.tags

  health_check {
    path                = var.health_path
    matcher             = "200-399"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 3
  }
}

resource "aws_lb_listener_rule" "app" {
  listener_arn = var.listener_arn
  tags         = local.tags

  # Without a priority the provider takes the next that is free, and another where a build beside this one was quicker.
  condition {
    host_header {
      values = [var.host_name]
    }
  }
  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.app.arn
  }
}

resource "aws_ecs_service" "app" {
  #checkov:skip=CKV_AWS_333:Tasks get no public address; assign_public_ip is false.
  name            = var.resource_name
  cluster         = var.cluster
  task_definition = var.task_definition
  launch_type     = "FARGATE"
  desired_count   = 1
  # Lamplighter watches the rollout itself, and says more of it than a build could.
  wait_for_steady_state = false
  propagate_tags        = "SERVICE"
  tags                  = local.tags

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = var.security_group_ids
    assign_public_ip = false
  }
  load_balancer {
    target_group_arn = aws_lb_target_group.app.arn
    container_name   = var.container_name
    container_port   = var.container_port
  }
  deployment_circuit_breaker {
    enable   = true
    rollback = false
  }

  # AWS: a target group that no listener uses can't be a service's.
  depends_on = [aws_lb_listener_rule.app]

  lifecycle {
    # Lamplighter suspends by setting it to 0; otherwise each apply would wake the app.
    ignore_changes = [desired_count]
  }
}

resource "aws_route53_record" "app" {
  count   = var.dns == null ? 0 : 1
  zone_id = var.dns.zone_id
  name    = var.host_name
  type    = "A"

  alias {
    name                   = var.dns.load_balancer_name
    zone_id                = var.dns.load_balancer_zone_id
    evaluate_target_health = false
  }
}
