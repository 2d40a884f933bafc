# The daemon on Fargate, for those who have no Kubernetes. Replicas share the apps by leases in the state table, so a
# rollout may start new ones before old ones are gone.
#
# The image holds one binary and no shell. A first container, which ends at once, writes the configuration to a volume
# that the daemon mounts read-only. The configuration holds no secret: secrets come from Secrets Manager or Parameter
# Store, as environment variables, and Terraform only ever knows their addresses.

locals {
  services     = { for service in [var.service] : "daemon" => service if service != null }
  admin_port   = 9090
  public_port  = 8080
  api_groups   = flatten([for service in values(local.services) : service.api_security_group_ids])
  admin_groups = flatten([for service in values(local.services) : service.admin_security_group_ids])
  egress_ports = toset(flatten([for service in values(local.services) : [for port in service.egress_ports : tostring(port) if port != 443]]))
  secret_arns  = flatten([for service in values(local.services) : values(service.secrets)])
  # AWS: what follows the name of a secret in `valueFrom` picks a key or version of it, and is no part of its address.
  manager_arns = distinct([for arn in local.secret_arns : join(":", slice(split(":", arn), 0, 7)) if strcontains(arn, ":secretsmanager:")])
  ssm_arns     = [for arn in local.secret_arns : arn if strcontains(arn, ":ssm:")]

  execution_statements = concat(
    [{
      Sid      = "Logs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "arn:${local.partition}:logs:${local.here}:log-group:${local.log_group}:*"
    }],
    [for arns in flatten([[for service in values(local.services) : { list = service.repository_arns }]]) : {
      Sid      = "Images"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = arns.list
    } if length(arns.list) > 0],
    [for arns in flatten([[for service in values(local.services) : { list = service.repository_arns }]]) : {
      # AWS: a login to the registry knows no resource.
      Sid      = "Login"
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = "*"
    } if length(arns.list) > 0],
    [for arns in [local.manager_arns] : {
      Sid      = "Secrets"
      Effect   = "Allow"
      Action   = ["secretsmanager:GetSecretValue"]
      Resource = arns
    } if length(arns) > 0],
    [for arns in [local.ssm_arns] : {
      Sid      = "Parameters"
      Effect   = "Allow"
      Action   = ["ssm:GetParameters"]
      Resource = arns
    } if length(arns) > 0],
  )
}

resource "aws_iam_role" "execution" {
  for_each    = local.services
  name        = "${var.name}-execution"
  description = "With which ECS starts the Lamplighter daemon: image, log, secrets"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.services
  name     = "start"
  role     = aws_iam_role.execution[each.key].id
  policy   = jsonencode({ Version = "2012-10-17", Statement = local.execution_statements })
}

resource "aws_security_group" "daemon" {
  for_each    = local.services
  name        = "${var.name}-daemon"
  description = "The Lamplighter daemon"
  vpc_id      = each.value.vpc_id
  tags        = var.tags
}

# AWS itself, the health of apps, the webhook. Names are asked of the network's own resolver, which needs no rule.
resource "aws_vpc_security_group_egress_rule" "https" {
  for_each          = local.services
  security_group_id = aws_security_group.daemon[each.key].id
  description       = "AWS, the health of apps, the webhook"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

# Apps or a webhook whose URL has another port.
resource "aws_vpc_security_group_egress_rule" "more" {
  for_each          = local.egress_ports
  security_group_id = aws_security_group.daemon["daemon"].id
  description       = "The health of apps, the webhook"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.value)
  to_port           = tonumber(each.value)
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "api" {
  count                        = length(local.api_groups)
  security_group_id            = aws_security_group.daemon["daemon"].id
  description                  = "The API"
  ip_protocol                  = "tcp"
  from_port                    = local.public_port
  to_port                      = local.public_port
  referenced_security_group_id = local.api_groups[count.index]
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "admin" {
  count                        = length(local.admin_groups)
  security_group_id            = aws_security_group.daemon["daemon"].id
  description                  = "Metrics and probes"
  ip_protocol                  = "tcp"
  from_port                    = local.admin_port
  to_port                      = local.admin_port
  referenced_security_group_id = local.admin_groups[count.index]
  tags                         = var.tags
}

resource "aws_ecs_task_definition" "daemon" {
  #checkov:skip=CKV_AWS_336:The daemon's root is read-only. The other container ends before the daemon starts; all it writes is the volume.
  for_each                 = local.services
  family                   = "${var.name}-daemon"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  task_role_arn            = aws_iam_role.daemon[0].arn
  execution_role_arn       = aws_iam_role.execution[each.key].arn
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = each.value.architecture
  }
  volume {
    name = "config"
  }

  container_definitions = jsonencode([
    {
      name                   = "config"
      image                  = each.value.config_image
      essential              = false
      readonlyRootFilesystem = true
      entryPoint             = ["sh", "-c"]
      command                = ["printf %s \"$CONFIG\" > /config/lamplighter.toml"]
      environment            = [{ name = "CONFIG", value = each.value.config }]
      linuxParameters        = { capabilities = { drop = ["ALL"] } }
      mountPoints            = [{ sourceVolume = "config", containerPath = "/config", readOnly = false }]
      logConfiguration = {
        logDriver = "awslogs"
        options   = { awslogs-group = local.log_group, awslogs-region = local.region, awslogs-stream-prefix = "config" }
      }
    },
    {
      name                   = "lamplighter"
      image                  = each.value.image
      essential              = true
      readonlyRootFilesystem = true
      user                   = "65532:65532"
      command                = ["run", "--config", "/config/lamplighter.toml"]
      # Whatever the file says of these, the security group and probes below go by them.
      environment = [
        { name = "LAMPLIGHTER_REGION", value = local.region },
        { name = "LAMPLIGHTER_DESIRED_TABLE", value = var.tables.desired },
        { name = "LAMPLIGHTER_STATE_TABLE", value = var.tables.state },
        { name = "LAMPLIGHTER_EVENTS_TABLE", value = var.tables.events },
        { name = "LAMPLIGHTER_ADMIN_ADDR", value = "0.0.0.0:${local.admin_port}" },
      ]
      secrets         = [for name, arn in each.value.secrets : { name = name, valueFrom = arn }]
      dependsOn       = [{ containerName = "config", condition = "SUCCESS" }]
      linuxParameters = { capabilities = { drop = ["ALL"] }, initProcessEnabled = false }
      # Whether the process lives, as the image's own check asks, which ECS does not look at.
      healthCheck = { command = ["CMD", "/lamplighter", "healthy"], interval = 30, timeout = 5, retries = 3, startPeriod = 15 }
      # Longer than daemon.shutdown_grace, within which work in hand ends and leases are given back.
      stopTimeout  = each.value.stop_timeout
      portMappings = [for port in [local.public_port, local.admin_port] : { containerPort = port, hostPort = port, protocol = "tcp" }]
      mountPoints  = [{ sourceVolume = "config", containerPath = "/config", readOnly = true }]
      logConfiguration = {
        logDriver = "awslogs"
        options   = { awslogs-group = local.log_group, awslogs-region = local.region, awslogs-stream-prefix = "daemon" }
      }
    },
  ])
}

resource "aws_ecs_service" "daemon" {
  for_each                           = local.services
  name                               = "${var.name}-daemon"
  cluster                            = each.value.cluster
  task_definition                    = aws_ecs_task_definition.daemon[each.key].arn
  desired_count                      = each.value.replicas
  launch_type                        = "FARGATE"
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200
  propagate_tags                     = "SERVICE"
  tags                               = var.tags

  network_configuration {
    subnets          = each.value.subnet_ids
    security_groups  = [aws_security_group.daemon[each.key].id]
    assign_public_ip = false
  }
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  dynamic "load_balancer" {
    for_each = each.value.target_group_arn == null ? [] : [each.value.target_group_arn]
    content {
      target_group_arn = load_balancer.value
      container_name   = "lamplighter"
      container_port   = local.public_port
    }
  }

  # A daemon that starts before it may read its tables would only fail and be started again.
  depends_on = [aws_iam_role_policy.execution, aws_iam_role_policy_attachment.daemon]
}
