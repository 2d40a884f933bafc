# What a build may do: pass its gate, keep its state, and make and remove the parts of apps in this cluster, on this
# listener and in this zone. It passes no role, registers no task definition, and reaches no other item of the tables.

locals {
  balancer    = split("/", split(":listener/", var.load_balancer.listener_arn)[1])
  rule_arns   = "${split(":listener/", var.load_balancer.listener_arn)[0]}:listener-rule/${join("/", local.balancer)}/*"
  group_arns  = "arn:${local.partition}:elasticloadbalancing:${local.here}:targetgroup/*/*"
  service_arn = "arn:${local.partition}:ecs:${local.here}:service/${var.cluster}/*"
  # Made with the tag, or not at all; changed with the tag, or not at all.
  made_for_an_app = { Null = { "aws:RequestTag/lamplighter:instance-id" = "false" } }
  is_of_an_app    = { Null = { "aws:ResourceTag/lamplighter:instance-id" = "false" } }

  build_statements = concat(
    [
      {
        Sid       = "Gate"
        Effect    = "Allow"
        Action    = ["dynamodb:GetItem", "dynamodb:UpdateItem"]
        Resource  = var.state_table_arn
        Condition = { "ForAllValues:StringLike" = { "dynamodb:LeadingKeys" = ["gate#*"] } }
      },
      {
        Sid      = "ListBucket"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.bucket_arn
      },
      {
        Sid      = "States"
        Effect   = "Allow"
        Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = "${local.bucket_arn}/${local.state_prefix}/*"
      },
      {
        Sid      = "Sources"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = "${local.bucket_arn}/sources/*"
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${local.partition}:logs:${local.here}:log-group:${local.build_group}:*"
      },
      {
        Sid       = "MakeServices"
        Effect    = "Allow"
        Action    = "ecs:CreateService"
        Resource  = local.service_arn
        Condition = local.made_for_an_app
      },
      {
        # AWS: needed beside CreateService for tags. Of a service that is there it may change other tags only.
        Sid       = "TagServices"
        Effect    = "Allow"
        Action    = "ecs:TagResource"
        Resource  = local.service_arn
        Condition = { StringEquals = { "ecs:CreateAction" = "CreateService" } }
      },
      {
        Sid       = "ChangeServices"
        Effect    = "Allow"
        Action    = ["ecs:DeleteService", "ecs:UpdateService"]
        Resource  = local.service_arn
        Condition = local.is_of_an_app
      },
      {
        Sid      = "LookAtServices"
        Effect   = "Allow"
        Action   = "ecs:DescribeServices"
        Resource = local.service_arn
      },
      {
        Sid       = "MakeTargetGroups"
        Effect    = "Allow"
        Action    = "elasticloadbalancing:CreateTargetGroup"
        Resource  = local.group_arns
        Condition = local.made_for_an_app
      },
      {
        Sid    = "ChangeTargetGroups"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:DeleteTargetGroup", "elasticloadbalancing:ModifyTargetGroup",
          "elasticloadbalancing:ModifyTargetGroupAttributes",
        ]
        Resource  = local.group_arns
        Condition = local.is_of_an_app
      },
      {
        Sid       = "MakeRules"
        Effect    = "Allow"
        Action    = "elasticloadbalancing:CreateRule"
        Resource  = var.load_balancer.listener_arn
        Condition = local.made_for_an_app
      },
      {
        Sid       = "ChangeRules"
        Effect    = "Allow"
        Action    = ["elasticloadbalancing:DeleteRule", "elasticloadbalancing:ModifyRule"]
        Resource  = local.rule_arns
        Condition = local.is_of_an_app
      },
      {
        Sid       = "TagRoutes"
        Effect    = "Allow"
        Action    = "elasticloadbalancing:AddTags"
        Resource  = [local.group_arns, local.rule_arns]
        Condition = { StringEquals = { "elasticloadbalancing:CreateAction" = ["CreateTargetGroup", "CreateRule"] } }
      },
      {
        # AWS: these know no resource.
        Sid    = "LookAtRoutes"
        Effect = "Allow"
        Action = [
          "elasticloadbalancing:DescribeRules", "elasticloadbalancing:DescribeTags",
          "elasticloadbalancing:DescribeTargetGroupAttributes", "elasticloadbalancing:DescribeTargetGroups",
        ]
        Resource = "*"
      },
    ],
    [for terraform in [var.terraform] : {
      Sid      = "Terraform"
      Effect   = "Allow"
      Action   = "s3:GetObject"
      Resource = "arn:${local.partition}:s3:::${trimprefix(terraform.zip, "s3://")}"
    } if terraform != null],
    [for dns in [var.dns] : {
      Sid      = "MakeNames"
      Effect   = "Allow"
      Action   = "route53:ChangeResourceRecordSets"
      Resource = "arn:${local.partition}:route53:::hostedzone/${dns.zone_id}"
      Condition = {
        "ForAllValues:StringLike"   = { "route53:ChangeResourceRecordSetsNormalizedRecordNames" = ["*.${dns.domain}"] }
        "ForAllValues:StringEquals" = { "route53:ChangeResourceRecordSetsRecordTypes" = ["A"] }
      }
    } if dns != null],
    [for dns in [var.dns] : {
      Sid      = "LookAtNames"
      Effect   = "Allow"
      Action   = ["route53:GetHostedZone", "route53:ListResourceRecordSets"]
      Resource = "arn:${local.partition}:route53:::hostedzone/${dns.zone_id}"
    } if dns != null],
    [for dns in [var.dns] : {
      Sid      = "WaitForNames"
      Effect   = "Allow"
      Action   = "route53:GetChange"
      Resource = "arn:${local.partition}:route53:::change/*"
    } if dns != null],
    [for key in [var.kms_key_arn] : {
      Sid       = "Key"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = key
      Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
    } if key != null],
  )
}

resource "aws_iam_role" "build" {
  name        = "${var.name}-build"
  description = "Builds of child apps"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "codebuild.amazonaws.com" }
      # AWS: without it, a project of any account could be handed this role.
      Condition = { StringEquals = {
        "aws:SourceAccount" = local.account
        "aws:SourceArn"     = "arn:${local.partition}:codebuild:${local.here}:project/${var.name}"
      } }
    }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "build" {
  name   = "build"
  role   = aws_iam_role.build.id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.build_statements })
}
